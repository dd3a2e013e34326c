//! From settings to a running SDK.

use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracerProvider};
use spanseal_authority::is_text;
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

use crate::actor::Actor;
use crate::approval::{Approvers, Source};
use crate::delivery::{Durability, Lane, Sender, Spool, SpoolError};
use crate::guard::Guard;
use crate::http::Http;
use crate::identity::{self, EndpointError, Enrolment, Identity};
use crate::key::Key;
use crate::otel::{Counted, Nowhere, Provenance};
use crate::policy::Policy;
use crate::producer::{Producer, Standing};
use crate::runtime::Runtime;
use crate::sdk::{self, Rules, Sdk};
use crate::testing::Recorder;

/// Begins the set-up. `OTEL_*` variables mean what OpenTelemetry says, except that sampling cannot switch recording off.
pub fn init() -> Builder {
    Builder::default()
}

/// The settings. Only [`Builder::actor`] must be given: without [`Builder::key`] and [`Builder::audience`] a key is made and
/// enrolled with the collector, which says for which deployment it is.
#[derive(Debug, Default)]
#[must_use = "nothing starts before `install` or `start`"]
pub struct Builder {
    service: Option<String>,
    endpoint: Option<String>,
    audience: Option<String>,
    key: Option<Key>,
    actor: Option<Actor>,
    approvers: Approvers,
    identity: Option<Box<dyn Identity>>,
    runtime: Option<Runtime>,
    durability: Durability,
    recorder: Option<Recorder>,
    rules: Rules,
}

/// Why the SDK cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A setting was not given.
    #[error("`{setting}` is not set; call `.{setting}({example})` before install")]
    Missing {
        /// The builder's method.
        setting: &'static str,
        /// What to give it.
        example: &'static str,
    },
    /// A name that cannot stand in claims.
    #[error(
        "{0:?} is no usable name; write 1 to 1024 bytes without control characters, and at most 16 parties in a chain"
    )]
    Name(String),
    /// The exporter needs a tokio runtime.
    #[error("there is no tokio runtime here; call this inside one, for example under #[tokio::main]")]
    NoRuntime,
    /// The collector's address is none.
    #[error("{0}")]
    Endpoint(String),
    /// The spool cannot be used.
    #[error("{0}")]
    Spool(String),
    /// The exporter refuses its settings.
    #[error("the OTLP exporter refuses its settings; check the endpoint and OTEL_EXPORTER_OTLP_*: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The operating system gives no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(getrandom::Error),
    /// A subscriber is there already.
    #[error(
        "this program has a tracing subscriber already; add `guard.layer()` to it and call `start` instead of `install`: {0}"
    )]
    Subscriber(#[from] TryInitError),
    /// The SDK runs already.
    #[error("the SDK is installed already; install it once, where the program starts")]
    Installed,
}

impl Builder {
    /// Names the service. Not set: `OTEL_SERVICE_NAME`.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// Where OTLP/gRPC goes, for example `http://127.0.0.1:4317`. Not set: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, else `http://localhost:4317`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// For which deployment the claims are made: the collector's audience. Not set: what the collector says.
    pub fn audience(mut self, deployment: impl Into<String>) -> Self {
        self.audience = Some(deployment.into());
        self
    }

    /// The key that signs, which the collector's configuration names as the actor's. Not set: one is made, and enrolled.
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Asks this policy about every action. Without one, an approval is what gives leave.
    pub fn policy(mut self, policy: impl Policy) -> Self {
        self.rules.policy = Some(Box::new(policy));
        self
    }

    /// Looks for approvals here. Several sources are asked in the order in which they were given.
    pub fn approvals(mut self, source: impl Source) -> Self {
        self.rules.sources.push(Box::new(source));
        self
    }

    /// Names whose approvals count, beside those that the collector names at enrolment.
    pub fn approvers(mut self, approvers: Approvers) -> Self {
        self.approvers = approvers;
        self
    }

    /// Proves who the program is, when its key is enrolled with the collector.
    pub fn identity(mut self, identity: impl Identity) -> Self {
        self.identity = Some(Box::new(identity));
        self
    }

    /// Says where the program runs. Not set: [`Runtime::detect`].
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Says what is promised of evidence before an action runs. Not set: [`Durability::Queued`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Keeps everything for a test, instead of sending it anywhere.
    pub(crate) fn record(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Records what would have been refused and lets it run, while a team finds out what its rules would stop.
    pub fn observe(mut self) -> Self {
        self.rules.observe = true;
        self
    }

    /// Who acts where no other [`Actor::scope`] says so.
    pub fn actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Starts, makes [`crate::action`] work everywhere in the program, and installs a `tracing` subscriber: spans to the
    /// collector, log lines to standard error by `RUST_LOG`, which filters only those.
    ///
    /// # Errors
    /// As [`Builder::start`]; another subscriber or another SDK that is installed already.
    pub fn install(self) -> Result<Guard, InitError> {
        let guard = self.start()?;
        let lines =
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(EnvFilter::from_default_env());
        tracing_subscriber::registry().with(lines).with(guard.layer()).try_init()?;
        if !sdk::install(guard.sdk().clone()) {
            return Err(InitError::Installed);
        }
        Ok(guard)
    }

    /// Starts without touching anything global: for programs with a subscriber of their own, to which
    /// [`Guard::layer`] is added, and which use [`Guard::action`].
    ///
    /// # Errors
    /// A setting that is missing or unusable; no tokio runtime.
    pub fn start(self) -> Result<Guard, InitError> {
        let missing = |setting, example| InitError::Missing { setting, example };
        let actor = self.actor.ok_or(missing("actor", "Actor::agent(\"spiffe://acme.example/agent/deployer\")"))?;
        let unusable_audience = self.audience.as_ref().filter(|audience| !is_text(audience));
        if let Some(name) = actor.unusable_name().or(unusable_audience.map(String::as_str)) {
            return Err(InitError::Name(name.to_owned()));
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| InitError::NoRuntime)?;
        let http = Http::new();
        let collector = identity::base(self.endpoint.as_deref())?;
        let key = self.key.clone().map_or_else(Key::random, Ok).map_err(InitError::Random)?;
        let known = self.key.is_some() || self.recorder.is_some();
        let standing = match (self.audience, self.identity) {
            (Some(audience), None) if known => {
                let (enrolment, credential, desk) = (None, None, None);
                let approvers = Arc::new(self.approvers);
                let standing = Standing { audience: audience.into(), key, enrolment, credential, approvers, desk };
                watch::channel(Ok(standing)).1
            }
            (audience, identity) => {
                let (sender, standing) = watch::channel(Err(NOT_ENROLLED.to_owned()));
                let collector = collector.clone();
                let (actor, approvers, http) = (actor.party().clone(), self.approvers, http.clone());
                let enrolment = Enrolment { collector, http, key, actor, identity, audience, approvers };
                runtime.spawn(enrolment.keep(sender));
                standing
            }
        };
        let mut exporter = SpanExporter::builder().with_tonic();
        if let Some(endpoint) = self.endpoint {
            exporter = exporter.with_endpoint(endpoint);
        }
        let claim = self.runtime.unwrap_or_else(Runtime::detect).claim();
        let producer = Arc::new(Producer::new(actor, claim, http, standing).map_err(InitError::Random)?);
        let spool = match &self.durability {
            Durability::Spooled(folder) => Some(Spool::open(folder, &producer.id())?),
            Durability::Queued | Durability::Acked => None,
        };
        let sender = match self.recorder.clone() {
            Some(recorder) => Sender::recording(recorder),
            None => Sender::new(&collector, producer.http.clone()),
        };
        let lane = Arc::new(Lane::start(&runtime, sender, spool));
        let batches = match self.recorder {
            Some(_) => BatchSpanProcessor::builder(Counted::new(Nowhere, producer.clone())).build(),
            None => BatchSpanProcessor::builder(Counted::new(exporter.build()?, producer.clone())).build(),
        };
        let mut resource = Resource::builder();
        if let Some(service) = self.service {
            resource = resource.with_service_name(service);
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_sampler(Sampler::AlwaysOn) // a parent's flag or an OTEL_* variable would switch evidence off
            .with_span_processor(Provenance::new(batches, producer.clone(), lane.clone()))
            .build();
        let scope = InstrumentationScope::builder("spanseal").with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = provider.tracer_with_scope(scope);
        let acked = self.durability == Durability::Acked;
        let rules = Rules { acked, ..self.rules };
        Ok(Guard::new(provider, Sdk { tracer, producer, rules: Arc::new(rules) }, lane, runtime))
    }
}

impl From<EndpointError> for InitError {
    fn from(error: EndpointError) -> Self {
        Self::Endpoint(error.to_string())
    }
}

impl From<SpoolError> for InitError {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error.to_string())
    }
}

const NOT_ENROLLED: &str = "the collector has not enrolled its key";
