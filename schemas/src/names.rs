//! Attribute names.
// This file is @generated from schemas/registry/ by tests/generated.rs.

/// `cicd.pipeline.name`: The pipeline.
pub const CICD_PIPELINE_NAME: &str = "cicd.pipeline.name";

/// `cicd.pipeline.run.id`: The run of the pipeline.
pub const CICD_PIPELINE_RUN_ID: &str = "cicd.pipeline.run.id";

/// `container.id`: The container.
pub const CONTAINER_ID: &str = "container.id";

/// `container.image.repo_digests`: The digests of the container's image.
pub const CONTAINER_IMAGE_REPO_DIGESTS: &str = "container.image.repo_digests";

/// `db.collection.name`: The table or collection.
pub const DB_COLLECTION_NAME: &str = "db.collection.name";

/// `db.namespace`: The database.
pub const DB_NAMESPACE: &str = "db.namespace";

/// `db.operation.name`: The database operation.
pub const DB_OPERATION_NAME: &str = "db.operation.name";

/// `db.system.name`: The database system.
pub const DB_SYSTEM_NAME: &str = "db.system.name";

/// `deployment.environment.name`: The deployment environment.
pub const DEPLOYMENT_ENVIRONMENT_NAME: &str = "deployment.environment.name";

/// `enduser.id`: The user, in the older form.
pub const ENDUSER_ID: &str = "enduser.id";

/// `error.type`: What kind of error ended the operation.
pub const ERROR_TYPE: &str = "error.type";

/// `gen_ai.agent.id`: The agent's identifier.
pub const GEN_AI_AGENT_ID: &str = "gen_ai.agent.id";

/// `gen_ai.agent.name`: The agent's name.
pub const GEN_AI_AGENT_NAME: &str = "gen_ai.agent.name";

/// `gen_ai.agent.version`: The agent's version.
pub const GEN_AI_AGENT_VERSION: &str = "gen_ai.agent.version";

/// `gen_ai.conversation.id`: The conversation.
pub const GEN_AI_CONVERSATION_ID: &str = "gen_ai.conversation.id";

/// `gen_ai.data_source.id`: The data source.
pub const GEN_AI_DATA_SOURCE_ID: &str = "gen_ai.data_source.id";

/// `gen_ai.input.messages`: What the model was given: sensitive, a candidate for `keep_out`.
pub const GEN_AI_INPUT_MESSAGES: &str = "gen_ai.input.messages";

/// `gen_ai.operation.name`: The operation; `execute_tool` and `invoke_agent` are actions.
pub const GEN_AI_OPERATION_NAME: &str = "gen_ai.operation.name";

/// `gen_ai.output.messages`: What the model gave back: sensitive, a candidate for `keep_out`.
pub const GEN_AI_OUTPUT_MESSAGES: &str = "gen_ai.output.messages";

/// `gen_ai.provider.name`: The model's provider.
pub const GEN_AI_PROVIDER_NAME: &str = "gen_ai.provider.name";

/// `gen_ai.request.model`: The model that was asked for.
pub const GEN_AI_REQUEST_MODEL: &str = "gen_ai.request.model";

/// `gen_ai.response.model`: The model that answered.
pub const GEN_AI_RESPONSE_MODEL: &str = "gen_ai.response.model";

/// `gen_ai.system_instructions`: The system's instructions: sensitive, a candidate for `keep_out`.
pub const GEN_AI_SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";

/// `gen_ai.tool.call.arguments`: The arguments of the tool call: sensitive, a candidate for `keep_out`.
pub const GEN_AI_TOOL_CALL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";

/// `gen_ai.tool.call.id`: The identifier of the tool call.
pub const GEN_AI_TOOL_CALL_ID: &str = "gen_ai.tool.call.id";

/// `gen_ai.tool.call.result`: The result of the tool call: sensitive, a candidate for `keep_out`.
pub const GEN_AI_TOOL_CALL_RESULT: &str = "gen_ai.tool.call.result";

/// `gen_ai.tool.definitions`: The tools on offer: large, a candidate for `keep_out`.
pub const GEN_AI_TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";

/// `gen_ai.tool.name`: The tool that was called.
pub const GEN_AI_TOOL_NAME: &str = "gen_ai.tool.name";

/// `gen_ai.tool.type`: The tool's type: function, extension or datastore.
pub const GEN_AI_TOOL_TYPE: &str = "gen_ai.tool.type";

/// `gen_ai.workflow.name`: The workflow.
pub const GEN_AI_WORKFLOW_NAME: &str = "gen_ai.workflow.name";

/// `host.id`: The host.
pub const HOST_ID: &str = "host.id";

/// `http.request.method`: The HTTP method.
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";

/// `http.response.status_code`: The HTTP status.
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";

/// `jsonrpc.request.id`: The identifier of the JSON-RPC request.
pub const JSONRPC_REQUEST_ID: &str = "jsonrpc.request.id";

/// `k8s.namespace.name`: The Kubernetes namespace.
pub const K8S_NAMESPACE_NAME: &str = "k8s.namespace.name";

/// `k8s.pod.uid`: The Kubernetes pod.
pub const K8S_POD_UID: &str = "k8s.pod.uid";

/// `mcp.method.name`: The MCP method; `tools/call` is an action.
pub const MCP_METHOD_NAME: &str = "mcp.method.name";

/// `mcp.protocol.version`: The MCP protocol's version.
pub const MCP_PROTOCOL_VERSION: &str = "mcp.protocol.version";

/// `mcp.resource.uri`: The MCP resource.
pub const MCP_RESOURCE_URI: &str = "mcp.resource.uri";

/// `mcp.session.id`: The MCP session.
pub const MCP_SESSION_ID: &str = "mcp.session.id";

/// `process.executable.path`: The executable.
pub const PROCESS_EXECUTABLE_PATH: &str = "process.executable.path";

/// `process.pid`: The process.
pub const PROCESS_PID: &str = "process.pid";

/// `provenance.action.digest`: Salted SHA-256 of the action as it was approved, in hex.
pub const PROVENANCE_ACTION_DIGEST: &str = "provenance.action.digest";

/// `provenance.action.id`: The action's identifier, given by whoever asked for it.
pub const PROVENANCE_ACTION_ID: &str = "provenance.action.id";

/// `provenance.action.outcome`: How the action ended.
pub const PROVENANCE_ACTION_OUTCOME: &str = "provenance.action.outcome";

/// `provenance.action.path`: The tools around the action, outermost first, its own last.
pub const PROVENANCE_ACTION_PATH: &str = "provenance.action.path";

/// `provenance.action.target`: What the action is done to.
pub const PROVENANCE_ACTION_TARGET: &str = "provenance.action.target";

/// `provenance.action.type`: What is done; a span that carries it is an action.
pub const PROVENANCE_ACTION_TYPE: &str = "provenance.action.type";

/// `provenance.actor.id`: The workload or agent identity that performs the action.
pub const PROVENANCE_ACTOR_ID: &str = "provenance.actor.id";

/// `provenance.actor.type`: What kind of identity the actor is.
pub const PROVENANCE_ACTOR_TYPE: &str = "provenance.actor.type";

/// `provenance.approval.approver`: Who approved the action.
pub const PROVENANCE_APPROVAL_APPROVER: &str = "provenance.approval.approver";

/// `provenance.approval.expires_at`: Unix seconds at which the approval lapses.
pub const PROVENANCE_APPROVAL_EXPIRES_AT: &str = "provenance.approval.expires_at";

/// `provenance.approval.id`: The approval's identifier, its jti.
pub const PROVENANCE_APPROVAL_ID: &str = "provenance.approval.id";

/// `provenance.approval.statement`: The approval itself, a compact JWS of type agent-approval+jwt.
pub const PROVENANCE_APPROVAL_STATEMENT: &str = "provenance.approval.statement";

/// `provenance.business.change`: The change request that the action belongs to.
pub const PROVENANCE_BUSINESS_CHANGE: &str = "provenance.business.change";

/// `provenance.business.incident`: The incident that the action belongs to.
pub const PROVENANCE_BUSINESS_INCIDENT: &str = "provenance.business.incident";

/// `provenance.business.playbook`: The playbook that the action follows.
pub const PROVENANCE_BUSINESS_PLAYBOOK: &str = "provenance.business.playbook";

/// `provenance.business.task`: The task that the action is a part of.
pub const PROVENANCE_BUSINESS_TASK: &str = "provenance.business.task";

/// `provenance.business.ticket`: The ticket that the action belongs to.
pub const PROVENANCE_BUSINESS_TICKET: &str = "provenance.business.ticket";

/// `provenance.claims`: The signed claims of a governed action, one compact JWS.
pub const PROVENANCE_CLAIMS: &str = "provenance.claims";

/// `provenance.clearance.id`: The one-shot leave under which the action ran.
pub const PROVENANCE_CLEARANCE_ID: &str = "provenance.clearance.id";

/// `provenance.closing`: The signed statement made when a governed action ended, one compact JWS.
pub const PROVENANCE_CLOSING: &str = "provenance.closing";

/// `provenance.credential.digest`: SHA-256 of the credential, in hex.
pub const PROVENANCE_CREDENTIAL_DIGEST: &str = "provenance.credential.digest";

/// `provenance.credential.expires_at`: Unix seconds at which the credential lapses.
pub const PROVENANCE_CREDENTIAL_EXPIRES_AT: &str = "provenance.credential.expires_at";

/// `provenance.credential.id`: The credential's serial number or token id, never the credential.
pub const PROVENANCE_CREDENTIAL_ID: &str = "provenance.credential.id";

/// `provenance.credential.issuer`: Who issued the credential.
pub const PROVENANCE_CREDENTIAL_ISSUER: &str = "provenance.credential.issuer";

/// `provenance.credential.rotation`: The rule by which the credential is rotated.
pub const PROVENANCE_CREDENTIAL_ROTATION: &str = "provenance.credential.rotation";

/// `provenance.credential.type`: The kind of credential that the action used.
pub const PROVENANCE_CREDENTIAL_TYPE: &str = "provenance.credential.type";

/// `provenance.delegation.chain`: Identities from the initiator to the actor, initiator first.
pub const PROVENANCE_DELEGATION_CHAIN: &str = "provenance.delegation.chain";

/// `provenance.end`: The signed statement of a producer that ended in an orderly way, one compact JWS.
pub const PROVENANCE_END: &str = "provenance.end";

/// `provenance.initiator.id`: The person, schedule or event on whose behalf the actor acts.
pub const PROVENANCE_INITIATOR_ID: &str = "provenance.initiator.id";

/// `provenance.initiator.type`: What kind of initiator it is.
pub const PROVENANCE_INITIATOR_TYPE: &str = "provenance.initiator.type";

/// `provenance.owner.id`: The person or team that answers for the actor.
pub const PROVENANCE_OWNER_ID: &str = "provenance.owner.id";

/// `provenance.policy.decision`: The decision of the policy engine on this action.
pub const PROVENANCE_POLICY_DECISION: &str = "provenance.policy.decision";

/// `provenance.policy.decision_id`: The identifier of the decision.
pub const PROVENANCE_POLICY_DECISION_ID: &str = "provenance.policy.decision_id";

/// `provenance.policy.digest`: SHA-256 of the policy set, in hex.
pub const PROVENANCE_POLICY_DIGEST: &str = "provenance.policy.digest";

/// `provenance.policy.engine`: The policy engine and its version.
pub const PROVENANCE_POLICY_ENGINE: &str = "provenance.policy.engine";

/// `provenance.policy.ids`: The policies that determined the decision.
pub const PROVENANCE_POLICY_IDS: &str = "provenance.policy.ids";

/// `provenance.policy.version`: The version of the policies.
pub const PROVENANCE_POLICY_VERSION: &str = "provenance.policy.version";

/// `provenance.producer.id`: The SDK process that numbers its governed spans, 16 random bytes in hex.
pub const PROVENANCE_PRODUCER_ID: &str = "provenance.producer.id";

/// `provenance.producer.seq`: The number of this governed span in its producer, from 1.
pub const PROVENANCE_PRODUCER_SEQ: &str = "provenance.producer.seq";

/// `provenance.refusal.code`: Why the action was refused, in short.
pub const PROVENANCE_REFUSAL_CODE: &str = "provenance.refusal.code";

/// `provenance.refusal.reason`: Why the action was refused, for people.
pub const PROVENANCE_REFUSAL_REASON: &str = "provenance.refusal.reason";

/// `provenance.runtime.build`: The build that ran the action, for example a commit.
pub const PROVENANCE_RUNTIME_BUILD: &str = "provenance.runtime.build";

/// `provenance.runtime.deadline`: Unix seconds by which the runtime ends.
pub const PROVENANCE_RUNTIME_DEADLINE: &str = "provenance.runtime.deadline";

/// `provenance.runtime.executable_digest`: SHA-256 of the executable that ran the action, in hex.
pub const PROVENANCE_RUNTIME_EXECUTABLE_DIGEST: &str = "provenance.runtime.executable_digest";

/// `provenance.runtime.id`: The sandbox, pod or machine that ran the action.
pub const PROVENANCE_RUNTIME_ID: &str = "provenance.runtime.id";

/// `provenance.runtime.image_digest`: The digest of the image that ran the action.
pub const PROVENANCE_RUNTIME_IMAGE_DIGEST: &str = "provenance.runtime.image_digest";

/// `provenance.runtime.sandbox`: The sandbox that the action ran in.
pub const PROVENANCE_RUNTIME_SANDBOX: &str = "provenance.runtime.sandbox";

/// `provenance.supervisor.id`: The person or agent that supervises the action.
pub const PROVENANCE_SUPERVISOR_ID: &str = "provenance.supervisor.id";

/// `rpc.method`: The remote procedure that was called.
pub const RPC_METHOD: &str = "rpc.method";

/// `server.address`: The server that was called.
pub const SERVER_ADDRESS: &str = "server.address";

/// `service.instance.id`: The service's instance.
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";

/// `service.name`: The service.
pub const SERVICE_NAME: &str = "service.name";

/// `service.namespace`: The service's namespace.
pub const SERVICE_NAMESPACE: &str = "service.namespace";

/// `service.version`: The service's version.
pub const SERVICE_VERSION: &str = "service.version";

/// `session.id`: The session.
pub const SESSION_ID: &str = "session.id";

/// `spanseal.cuts`: How many holes the forwarded span has; absent when there are none.
pub const SPANSEAL_CUTS: &str = "spanseal.cuts";

/// `spanseal.event`: The event that seals this span, its stream in hex, a hyphen and its index.
pub const SPANSEAL_EVENT: &str = "spanseal.event";

/// `spanseal.hash`: The leaf hash of that event, in hex.
pub const SPANSEAL_HASH: &str = "spanseal.hash";

/// `spanseal.reasons`: The names of the reasons for the verdict, joined by commas.
pub const SPANSEAL_REASONS: &str = "spanseal.reasons";

/// `spanseal.url`: Where that event can be looked at.
pub const SPANSEAL_URL: &str = "spanseal.url";

/// `spanseal.verdict`: The verdict on the action as of sealing; absent on spans that are no action.
pub const SPANSEAL_VERDICT: &str = "spanseal.verdict";

/// `url.full`: The URL that was called.
pub const URL_FULL: &str = "url.full";

/// `user.id`: The user.
pub const USER_ID: &str = "user.id";
