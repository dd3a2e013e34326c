//! One approved action, and everything about it that a test may change.

use base64ct::{Base64UrlUnpadded, Encoding};
use spanseal_authority::action::{Action, Digest};
use spanseal_authority::approval::Approval;
use spanseal_authority::claims::{Business, Claims, Credential, Party, Runtime};
use spanseal_authority::closing::{Closing, Outcome};
use spanseal_authority::config::{Actor, Approver, Config, Enroller, Governed};
use spanseal_authority::key::SigningKey;
use spanseal_authority::receipt::{Method, Receipt};
use spanseal_authority::{Assessed, Attributes, Authority, Observed};
use spanseal_schemas::scan::AnyValue;

pub(crate) const ACTOR: &str = "spiffe://acme.example/agent/deployer";
pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const START: u64 = 1_795_000_000;

/// A span with signed claims and an approval: `proven` as it stands.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) config: Config,
    pub(crate) actor_seed: [u8; 32],
    pub(crate) approver_seed: [u8; 32],
    pub(crate) approval: Option<Approval>,
    /// Changes the signed approval before it is embedded.
    pub(crate) alter_approval: fn(String) -> String,
    pub(crate) claims: Claims,
    /// Changes the signed claims before they are put on the span.
    pub(crate) alter_claims: fn(String) -> String,
    /// How the action ended, signed by the key of this seed.
    pub(crate) closing: Option<(Closing, [u8; 32])>,
    /// Changes the signed closing statement before it is put on the span.
    pub(crate) alter_closing: fn(String) -> String,
    /// The span has no signed claims.
    pub(crate) unsigned: bool,
    pub(crate) span: [u8; 8],
    pub(crate) parent: &'static [u8],
    pub(crate) service: &'static str,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) received: u64,
    pub(crate) attributes: Vec<(&'static str, Value)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Bytes(Vec<u8>),
    Texts(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl Case {
    pub(crate) fn approved() -> Self {
        let action = Action {
            kind: "secret.rotate".into(),
            target: Some("vault:prod/billing-db".into()),
            tool: Some("rotate_secret".into()),
            arguments: Some(Digest([3; 32])),
            salt: [4; 16],
        };
        Self {
            config: config(),
            actor_seed: [0xa1; 32],
            approver_seed: [0xb0; 32],
            approval: Some(approval(&action)),
            alter_approval: |token| token,
            claims: claims(action),
            alter_claims: |token| token,
            closing: None,
            alter_closing: |token| token,
            unsigned: false,
            span: [6; 8],
            parent: &[7; 8],
            service: "deploy-agent",
            start: START * SECOND,
            end: (START + 2) * SECOND,
            received: (START + 5) * SECOND,
            attributes: vec![
                ("gen_ai.operation.name", "execute_tool".into()),
                ("gen_ai.tool.name", "rotate_secret".into()),
            ],
        }
    }

    pub(crate) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::approved();
        change(&mut case);
        case
    }

    /// Lets a decision come first, and the action end well.
    pub(crate) fn authorise(&mut self) {
        self.claims.authorize = Some([8; 8]);
        let claims = &self.claims;
        let closing = Closing {
            audience: claims.audience.clone(),
            issued_at: START + 2,
            producer: claims.producer,
            clearance: claims.clearance,
            trace: claims.trace,
            span: claims.span,
            executed: claims.action_digest,
            outcome: Outcome::Success,
            result: None,
        };
        self.closing = Some((closing, self.actor_seed));
    }

    pub(crate) fn closing(&mut self) -> &mut Closing {
        if self.closing.is_none() {
            self.authorise();
        }
        &mut self.closing.as_mut().unwrap().0
    }

    /// Lets the actor's key be known by an enrolment receipt alone, signed by the key of `seed`.
    pub(crate) fn enrol(&mut self, seed: u8, change: impl FnOnce(&mut Receipt)) {
        self.config.actor.clear();
        self.config.enroller = vec![Enroller { name: "acme.example/agents".into(), key: key(0xe0) }];
        let mut receipt = Receipt {
            issuer: "acme.example/agents".into(),
            audience: "acme.example/agents".into(),
            not_before: START - 600,
            expires: START + 600,
            id: "enr-1".into(),
            actor: self.claims.actor.clone(),
            owner: Some("team:platform".into()),
            key: SigningKey::from_seed(&self.actor_seed).public().clone(),
            method: Method::Token,
            credential: self.claims.credential.clone(),
        };
        change(&mut receipt);
        self.claims.enrolment = Some(receipt.sign(&SigningKey::from_seed(&[seed; 32])));
    }

    /// Makes the span that of the decision.
    pub(crate) fn decide(&mut self) {
        self.authorise();
        self.closing = None;
        self.span = [8; 8];
    }

    pub(crate) fn is_decision(&self) -> bool {
        self.claims.authorize == Some(self.span)
    }

    /// Returns the text of the closing statement.
    pub(crate) fn closing_token(&self) -> Option<String> {
        let (closing, seed) = self.closing.as_ref()?;
        Some((self.alter_closing)(closing.sign(&SigningKey::from_seed(seed))))
    }

    pub(crate) fn approval(&mut self) -> &mut Approval {
        self.approval.as_mut().unwrap()
    }

    /// Returns the approval's text as it will be embedded.
    pub(crate) fn approval_token(&self) -> Option<String> {
        let key = SigningKey::from_seed(&self.approver_seed);
        self.approval.as_ref().map(|approval| (self.alter_approval)(approval.sign(&key)))
    }

    /// Returns the text of the claims, the approval embedded.
    pub(crate) fn claims_token(&self) -> String {
        let claims = Claims { approval: self.approval_token(), ..self.claims.clone() };
        (self.alter_claims)(claims.sign(&SigningKey::from_seed(&self.actor_seed)))
    }

    pub(crate) fn judge(&self) -> Assessed {
        self.judge_token(&self.claims_token())
    }

    /// Judges the span with `token` in the place of the claims.
    pub(crate) fn judge_token(&self, token: &str) -> Assessed {
        self.judge_tokens(token, self.closing_token().as_deref())
    }

    /// Judges the span with these in the place of the claims and the closing statement.
    pub(crate) fn judge_tokens(&self, token: &str, closing: Option<&str>) -> Assessed {
        let mut attributes = Attributes::new();
        for (key, value) in &self.attributes {
            attributes.push(key, any(value));
        }
        if !self.unsigned {
            attributes.push("provenance.claims", AnyValue::String(token));
        }
        if let Some(closing) = closing {
            attributes.push("provenance.closing", AnyValue::String(closing));
        }
        let observed = Observed {
            received_unix_nano: self.received,
            tenant: "default",
            trace_id: &[5; 16],
            span_id: &self.span,
            parent_span_id: self.parent,
            name: "execute_tool rotate_secret",
            start_unix_nano: self.start,
            end_unix_nano: self.end,
            service: self.service,
            attributes: &attributes,
            ..Observed::default()
        };
        Authority::new(&self.config, "acme.example/agents").unwrap().assess(&observed)
    }
}

pub(crate) fn any(value: &Value) -> AnyValue<'_> {
    match value {
        Value::Text(text) => AnyValue::String(text),
        Value::Integer(integer) => AnyValue::Int(*integer),
        Value::Bytes(bytes) => AnyValue::Bytes(bytes),
        Value::Texts(array) => AnyValue::Array(array.as_slice().into()),
    }
}

/// Returns an OTLP `ArrayValue` of short strings.
pub(crate) fn texts(texts: &[&str]) -> Value {
    let mut array = Vec::new();
    for text in texts {
        let length = u8::try_from(text.len()).unwrap();
        array.extend([0x0a, length + 2, 0x0a, length]);
        array.extend(text.as_bytes());
    }
    Value::Texts(array)
}

pub(crate) fn key(seed: u8) -> String {
    SigningKey::from_seed(&[seed; 32]).public().to_string()
}

pub(crate) fn config() -> Config {
    Config {
        governed: Governed { services: vec!["deploy-agent".into()], actions: vec!["secret.rotate".into()] },
        actor: vec![Actor { id: ACTOR.into(), owner: Some("team:platform".into()), key: key(0xa1) }],
        approver: vec![
            Approver { name: "bob@acme.example".into(), key: key(0xb0) },
            Approver { name: "carol@acme.example".into(), key: key(0xca) },
        ],
        ..Config::default()
    }
}

fn approval(action: &Action) -> Approval {
    Approval {
        audience: "acme.example/agents".into(),
        approver: "bob@acme.example".into(),
        actor: ACTOR.into(),
        key: SigningKey::from_seed(&[0xa1; 32]).public().thumbprint(),
        action_digest: action.digest(),
        not_before: START - 600,
        expires: START + 600,
        id: "apr-7".into(),
        max_uses: 1,
        ticket: Some("CHG-1042".into()),
        justification: Some("planned rotation".into()),
    }
}

fn claims(action: Action) -> Claims {
    Claims {
        audience: "acme.example/agents".into(),
        issued_at: START,
        producer: [1; 16],
        sequence: 7,
        clearance: [2; 16],
        trace: [5; 16],
        span: [6; 8],
        parent: Some([7; 8]),
        owner: Some("team:platform".into()),
        initiator: Some(Party { id: "alice@acme.example".into(), kind: "human".into() }),
        delegation: vec!["alice@acme.example".into(), ACTOR.into()],
        business: Business { ticket: Some("CHG-1042".into()), ..Business::default() },
        credential: Some(Credential {
            kind: "jwt-svid".into(),
            id: Some("t-1".into()),
            digest: Some(Digest([2; 32])),
            ..Credential::default()
        }),
        runtime: Some(Runtime { executable: Some(Digest([1; 32])), ..Runtime::default() }),
        ..Claims::bare(Party { id: ACTOR.into(), kind: "agent".into() }, action)
    }
}

/// Returns the token with header and payload changed as text and signed again by the key of `seed`.
pub(crate) fn forge(token: &str, seed: u8, header: fn(String) -> String, payload: fn(String) -> String) -> String {
    use ed25519_dalek::Signer;
    let mut parts =
        token.split('.').map(|part| String::from_utf8(Base64UrlUnpadded::decode_vec(part).unwrap_or_default()));
    let header = header(parts.next().unwrap().unwrap());
    let payload = payload(parts.next().unwrap().unwrap());
    let input = [header, payload].map(|part| Base64UrlUnpadded::encode_string(part.as_bytes())).join(".");
    let signature = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).sign(input.as_bytes());
    format!("{input}.{}", Base64UrlUnpadded::encode_string(&signature.to_bytes()))
}

pub(crate) fn same(text: String) -> String {
    text
}
