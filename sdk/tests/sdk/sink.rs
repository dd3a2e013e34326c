//! An OTLP/gRPC collector that keeps what it gets, and judges it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanseal::approval::Terms;
use spanseal::{Action, Actor, Approval, Approvers, Builder, Guard, Key};
use spanseal_authority::config::{self, Config, Governed};
use spanseal_authority::{Assessed, Attributes, Authority, Observed};
use tracing_subscriber::layer::SubscriberExt;

pub(crate) const AUDIENCE: &str = "acme.example/agents";
pub(crate) const AGENT: &str = "spiffe://acme.example/agent/deployer";
pub(crate) const SUB_AGENT: &str = "spiffe://acme.example/agent/remediator";

pub(crate) fn agent_key() -> Key {
    Key::from_seed(&[1; 32])
}

pub(crate) fn sub_agent_key() -> Key {
    Key::from_seed(&[2; 32])
}

pub(crate) fn approver_key() -> Key {
    Key::from_seed(&[3; 32])
}

pub(crate) fn approvers() -> Approvers {
    Approvers::default().with("bob@acme.example", &approver_key().public()).unwrap()
}

pub(crate) fn agent() -> Actor {
    Actor::agent(AGENT).owner("team:platform").on_behalf_of("alice@acme.example")
}

/// An approval of `action` by bob, from a minute ago on for ten minutes.
pub(crate) fn approve(action: &Action) -> Approval {
    spanseal::approval::issue(&approver_key(), &terms(action, &agent_key().public())).unwrap()
}

pub(crate) fn terms<'a>(action: &'a Action, actor_key: &'a str) -> Terms<'a> {
    Terms {
        audience: AUDIENCE,
        approver: "bob@acme.example",
        actor: AGENT,
        actor_key,
        action,
        not_before: SystemTime::now() - Duration::from_secs(60),
        expires: SystemTime::now() + Duration::from_secs(600),
        max_uses: 1,
        ticket: Some("CHG-1042"),
        justification: Some("planned rotation"),
    }
}

pub(crate) fn authority() -> Authority {
    let actor =
        |id: &str, key: Key| config::Actor { id: id.into(), owner: Some("team:platform".into()), key: key.public() };
    let config = Config {
        governed: Governed { services: vec!["deploy-agent".into()], actions: Vec::new() },
        actor: vec![actor(AGENT, agent_key()), actor(SUB_AGENT, sub_agent_key())],
        approver: vec![config::Approver { name: "bob@acme.example".into(), key: approver_key().public() }],
        ..Config::default()
    };
    Authority::new(&config, AUDIENCE).unwrap()
}

/// A running SDK and the collector that it exports to.
pub(crate) struct Rig {
    pub(crate) guard: Guard,
    pub(crate) sink: Sink,
    _subscriber: tracing::subscriber::DefaultGuard,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    /// An SDK that refuses nothing.
    pub(crate) async fn observing() -> Self {
        Self::with(Builder::observe).await
    }

    pub(crate) async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let sink = Sink::start(None).await;
        let guard = change(sink.builder()).start().unwrap();
        let subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(guard.layer()));
        Self { guard, sink, _subscriber: subscriber }
    }

    /// Ends the SDK and returns what arrived.
    pub(crate) async fn spans(self) -> Spans {
        let report = self.guard.shutdown().await;
        let mut spans = self.sink.spans();
        let expected = spanseal::Report { exported: spans.0.len() as u64, ..spanseal::Report::default() };
        assert_eq!(report, expected);
        spans.0.retain(|span| span.name != "producer end");
        spans
    }
}

#[derive(Clone, Default)]
pub(crate) struct Sink {
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    answer: Answer,
    endpoint: String,
}

/// How a sink answers.
#[derive(Clone, Copy, Default)]
pub(crate) enum Answer {
    #[default]
    Taken,
    Refused(tonic::Code),
    /// OK, but for all of the spans.
    Rejected,
    /// Taken, after so long.
    After(Duration),
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let request = request.into_inner();
        match self.answer {
            Answer::Taken => {}
            Answer::Refused(code) => return Err(tonic::Status::new(code, "refused")),
            Answer::Rejected => {
                let spans = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
                let rejected_spans = spans.map(|scope| scope.spans.len() as i64).sum();
                let partial = ExportTracePartialSuccess { rejected_spans, error_message: "no room".into() };
                return Ok(tonic::Response::new(ExportTraceServiceResponse { partial_success: Some(partial) }));
            }
            Answer::After(delay) => tokio::time::sleep(delay).await,
        }
        self.requests.lock().unwrap().push(request);
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Sink {
    pub(crate) async fn start(refusal: Option<tonic::Code>) -> Self {
        Self::answering(refusal.map_or(Answer::Taken, Answer::Refused)).await
    }

    pub(crate) async fn answering(answer: Answer) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let sink = Self { answer, endpoint, ..Self::default() };
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(sink.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        sink
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Stands where an address was that nobody listens at.
    pub(crate) async fn at(address: &str) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let sink = Self { endpoint: format!("http://{address}"), ..Self::default() };
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(sink.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        sink
    }

    pub(crate) fn builder(&self) -> Builder {
        spanseal::init()
            .service("deploy-agent")
            .endpoint(&self.endpoint)
            .audience(AUDIENCE)
            .key(agent_key())
            .actor(agent())
            .approvers(approvers())
    }

    pub(crate) fn spans(&self) -> Spans {
        let requests = self.requests.lock().unwrap();
        let scopes =
            requests.iter().flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
        Spans(scopes.flat_map(|scope| &scope.spans).cloned().collect())
    }
}

/// Spans in the order in which they arrived.
#[derive(Debug)]
pub(crate) struct Spans(pub(crate) Vec<Span>);

impl Spans {
    #[track_caller]
    pub(crate) fn named(&self, name: &str) -> &Span {
        let names: Vec<_> = self.0.iter().map(|span| &span.name).collect();
        self.0.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} is not among {names:?}"))
    }

    /// The spans of actions, in the order in which they arrived: all but those that record decisions.
    pub(crate) fn actions(self) -> Vec<Span> {
        self.0.into_iter().filter(|span| !span.name.starts_with("authorize ") && span.name != "producer end").collect()
    }

    #[track_caller]
    pub(crate) fn judged(&self, name: &str) -> Assessed {
        judge(self.named(name))
    }
}

/// Returns what the collector finds of the span's bytes.
#[track_caller]
pub(crate) fn judge(span: &Span) -> Assessed {
    let authority = authority();
    let bytes = span.encode_to_vec();
    let mut attributes = Attributes::new();
    let facts = spanseal_schemas::scan::span(&bytes, &mut |key, value| {
        if authority.wants(key.as_bytes()) {
            attributes.push(key, value);
        }
    });
    let facts = facts.unwrap();
    authority.assess(&Observed {
        received_unix_nano: u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap(),
        trace_id: facts.trace_id,
        span_id: facts.span_id,
        parent_span_id: facts.parent_span_id,
        name: facts.name,
        start_unix_nano: facts.start_unix_nano,
        end_unix_nano: facts.end_unix_nano,
        service: "deploy-agent",
        attributes: &attributes,
        ..Observed::default()
    })
}

/// Returns every value of an attribute, as text.
pub(crate) fn values(span: &Span, key: &str) -> Vec<String> {
    let values = span.attributes.iter().filter(|attribute| attribute.key == key);
    values
        .map(|attribute| match attribute.value.as_ref().and_then(|value| value.value.as_ref()).unwrap() {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(integer) => integer.to_string(),
            other => format!("{other:?}"),
        })
        .collect()
}

/// Returns the keys of the attributes that begin so.
pub(crate) fn keys<'a>(span: &'a Span, prefix: &str) -> Vec<&'a str> {
    span.attributes.iter().map(|attribute| attribute.key.as_str()).filter(|key| key.starts_with(prefix)).collect()
}

/// Returns how the action ended, as its closing statement says and the readable attribute beside it.
#[track_caller]
pub(crate) fn outcome(span: &Span) -> String {
    let closings = values(span, "provenance.closing");
    assert_eq!(closings.len(), 1, "{}", span.name);
    let outcome = spanseal_authority::closing::Closing::read_unverified(&closings[0]).unwrap().outcome.as_str();
    assert_eq!(values(span, "provenance.action.outcome"), [outcome]);
    outcome.to_owned()
}
