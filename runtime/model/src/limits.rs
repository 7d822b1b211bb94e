//! Every bound of the system with its unit, in one place.

use std::time::Duration;

/// Largest body of an HTTP request, bytes; `limits.body_bytes` sets another one for what starts something.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Largest component that may be uploaded, bytes.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Largest workflow document, bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a workflow document.
pub const DOCUMENT_DEPTH_MAX: usize = 64;
/// Most steps of a workflow, nested ones counted.
pub const STEPS_MAX: usize = 10_000;
/// Longest expression, bytes.
pub const EXPRESSION_BYTES_MAX: usize = 8 << 10;
/// How long the expressions of one step may be on the processor, all together.
pub const STEP_EVALUATION_MAX: Duration = Duration::from_secs(2);
/// Deepest nesting of brackets in an expression.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// Most environments of a workspace.
pub const ENVIRONMENTS_MAX: usize = 100;
/// Largest variables of an environment, bytes of JSON: every execution keeps them.
pub const VARIABLES_BYTES_MAX: usize = 16 << 10;
/// Revisions of a workflow that an environment can be rolled back to.
pub const FORMER_MAX: usize = 50;
/// Most workspaces of an instance.
pub const WORKSPACES_MAX: usize = 10_000;
/// Longest name for people of a workspace, bytes.
pub const LABEL_BYTES_MAX: usize = 200;
/// Most triggers of a workflow.
pub const TRIGGERS_MAX: usize = 100;
/// Most labels of a workflow.
pub const LABELS_MAX: usize = 64;
/// Largest value that a step may put out, bytes of JSON.
pub const OUTPUT_BYTES_MAX: usize = 4 << 20;
/// Most memory that an execution may keep at once, bytes, roughly: what its steps have put out, its variables, what its loops go
/// over and collect, what its open steps hold, and the events that no step has taken.
pub const EXECUTION_BYTES_MAX: usize = 256 << 20;
/// Largest input of a task, bytes of JSON.
pub const INPUT_BYTES_MAX: usize = 1 << 20;
/// Bytes of the body of the latest refused delivery of an integration that are kept to be looked at.
pub const REFUSED_BODY_BYTES_MAX: usize = 256 << 10;
/// Bytes of the bodies of those before it.
pub const REFUSED_BODY_BYTES_LATER: usize = 64 << 10;
/// Deepest nesting of a value that a step makes. What stands around it in a journal or an answer still fits into
/// [`JSON_DEPTH_MAX`], which is where readers of JSON commonly stop.
pub const VALUE_DEPTH_MAX: usize = 100;
/// Deepest nesting of the data of an event: what a step makes of it has two levels more.
pub const DATA_DEPTH_MAX: usize = VALUE_DEPTH_MAX - 2;
/// Deepest nesting of a JSON value from outside, where serde_json stops.
pub const JSON_DEPTH_MAX: usize = 128;
/// Most events that an adapter may make of one delivery.
pub const EVENTS_PER_DELIVERY_MAX: usize = 1_000;
/// Most answers that are kept for adapters, of all together.
pub const KEPT_ANSWERS_MAX: usize = 128;
/// Largest body of an answer that is kept, bytes.
pub const KEPT_ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Most attempts of one step.
pub const ATTEMPTS_MAX: u32 = 100;
/// Most items of one `for_each`.
pub const ITEMS_MAX: usize = 100_000;
/// Most turns of one `for_each` at once.
pub const CONCURRENCY_MAX: u32 = 100;
/// Most turns of one `repeat`.
pub const TURNS_MAX: u32 = 100_000;
/// Most turns of a `repeat` that has an `until` and does not say.
pub const TURNS_DEFAULT: u32 = 1_000;
/// Most branches of one `parallel`.
pub const BRANCHES_MAX: usize = 100;
/// Longest wait.
pub const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Longest key of a lock and longest topic, bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Most events that an execution keeps until a step waits for them.
pub const RECEIVED_MAX: usize = 1_000;
/// Deepest line of workflows that start each other.
pub const CHILDREN_DEPTH_MAX: u32 = 16;
/// Most executions at once that a workflow may ask for.
pub const EXECUTIONS_AT_ONCE_MAX: u32 = 1_000_000;
/// How long an execution may stand in line for its workflow's concurrency before it is dropped.
pub const QUEUED_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Shortest interval of a schedule's `every`.
pub const EVERY_MIN: Duration = Duration::from_secs(1);
/// Longest interval of a schedule's `every`.
pub const EVERY_MAX: Duration = WAIT_MAX;
/// Longest jitter of a schedule.
pub const JITTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Missed firings of a schedule that are made up for where it says `missed: all` and no number.
pub const MISSED_DEFAULT: u32 = 100;
/// Most missed firings of a schedule that are made up for.
pub const MISSED_MAX: u32 = 1_000;
/// A firing that is later than this has been missed.
pub const MISSED_AFTER: Duration = Duration::from_secs(60);
/// Firings that are handed to the engine at once; further ones come as these are accepted.
pub const FIRINGS_AT_ONCE_MAX: usize = 256;
/// Most times that are told of what a schedule does next.
pub const FIRE_TIMES_MAX: usize = 100;
/// Times that are told of what a schedule does next where nobody says how many.
pub const FIRE_TIMES_DEFAULT: usize = 5;
/// An execution that has nothing to do for longer than this is let go of, and taken up again when something is due.
pub const PARK_AFTER: Duration = Duration::from_secs(5);
/// Largest page of a list.
pub const PAGE_MAX: usize = 200;
/// Page of a list where the caller names none.
pub const PAGE_DEFAULT: usize = 50;
/// Longest message of a failure that is kept, bytes.
pub const MESSAGE_BYTES_MAX: usize = 8 << 10;
/// Most approvals of one execution that lists show; its journal has them all.
pub const ASKED_MAX: usize = 100;
/// Longest text of a summary, characters: a failure, a question.
pub const SUMMARY_TEXT_MAX: usize = 200;
/// Executions that one request for a page of a list looks at, whether or not they are wanted.
pub const LOOKED_AT_MAX: usize = 2_000;
/// Longest id of a user, bytes.
pub const USER_ID_BYTES_MAX: usize = 255;
/// Most users of a workspace.
pub const USERS_MAX: usize = 100_000;
/// Largest metadata of a user, bytes of JSON: every execution with one of its connections keeps them.
pub const METADATA_BYTES_MAX: usize = 16 << 10;
/// Most connections of a user.
pub const CONNECTIONS_MAX: usize = 50;
/// Largest settings of a connection, bytes of JSON: every execution with it keeps them.
pub const SETTINGS_BYTES_MAX: usize = 16 << 10;
/// Most credentials of a connection.
pub const CREDENTIALS_MAX: usize = 32;
/// Most workflows that are enabled in a connection.
pub const ENABLED_MAX: usize = 50;
/// Connections that a firing starts executions for at once; further ones come as these are accepted.
pub const CONNECTIONS_AT_ONCE_MAX: usize = 64;
/// Most keys of a workspace that its app's tokens of users are verified with.
pub const SIGNING_KEYS_MAX: usize = 16;
/// Largest text of a signing key, bytes of PEM.
pub const SIGNING_KEY_BYTES_MAX: usize = 4 << 10;
/// Smallest RSA key that tokens of users are verified with, bits.
pub const RSA_BITS_MIN: usize = 2_048;
/// Largest RSA key that tokens of users are verified with, bits.
pub const RSA_BITS_MAX: usize = 8_192;
/// Largest token of a user, bytes.
pub const USER_TOKEN_BYTES_MAX: usize = 8 << 10;
/// How far the clock of an app may be from ours.
pub const USER_TOKEN_LEEWAY: Duration = Duration::from_secs(60);
/// Largest secret, bytes.
pub const SECRET_BYTES_MAX: usize = 64 << 10;

/// Most workspaces that a workflow is shared with.
pub const SHARES_MAX: usize = 100;
/// Most subscriptions of a workspace.
pub const SUBSCRIPTIONS_MAX: usize = 50;
/// Most workflows, and most environments, that a subscription names.
pub const SUBSCRIPTION_NAMES_MAX: usize = 100;
/// Longest URL that is sent to, bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// How long one sending may take, from the name's resolution to the answer's status.
pub const POST_TAKES_MAX: Duration = Duration::from_secs(15);
/// Letters of one subscription that are sent at once; one where the one before failed.
pub const LETTERS_AT_ONCE_MAX: usize = 4;
/// Letters of one subscription that wait; of more the oldest are dead.
pub const LETTERS_WAITING_MAX: usize = 10_000;
/// Dead letters of one subscription that are kept; of more the oldest are forgotten.
pub const LETTERS_DEAD_MAX: usize = 10_000;
/// How long a dead letter is kept.
pub const LETTERS_DEAD_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The pause behind each try of a letter but the last; jitter adds a tenth at most (Standard Webhooks, "Operational considerations").
pub const LETTER_PAUSES: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(5 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
];
/// How long a subscription's former secret signs beside the new one.
pub const SIGNING_BESIDE: Duration = Duration::from_secs(24 * 60 * 60);

/// Executions that a workspace may start in a second; 0 is no limit.
pub const EXECUTIONS_PER_SECOND: u32 = 25;
/// Client addresses that a throttle tells apart; further ones share their room.
pub const ADDRESSES_MAX: usize = 100_000;
/// How long a synchronous caller waits before 201.
pub const SYNC_WINDOW: Duration = Duration::from_secs(50);
/// How long a browser need not ask again whether a page may call.
pub const PREFLIGHT_LASTS: Duration = Duration::from_secs(60 * 60);
/// How long an access token is valid.
pub const ACCESS_TOKEN_LASTS: Duration = Duration::from_secs(60 * 60);
/// How long a delivery id is remembered.
pub const DEDUPE_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an execution may take where its workflow does not say.
pub const EXECUTION_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// How far entries may run ahead of the disk before they are written though nothing asks for it.
pub const JOURNAL_LAG_MAX: Duration = Duration::from_millis(10);
/// How many entries may run ahead of the disk before they are written, however short a time they took.
pub const JOURNAL_AHEAD_MAX: usize = 1_024;

/// What one plugin call may use. A breach is a failure of kind `budget` that names bound, limit and use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes over all memories of the instance.
    pub memory_bytes: u64,
    /// Time on the processor.
    pub cpu: Duration,
    /// Time on the wall clock, host calls included.
    pub wall: Duration,
    /// Bytes of JSON handed in.
    pub input_bytes: usize,
    /// Bytes of JSON handed back.
    pub output_bytes: usize,
    /// Bytes of log lines.
    pub log_bytes: usize,
    /// Outbound HTTP requests.
    pub requests: u32,
    /// Bytes of one outbound response.
    pub response_bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu: Duration::from_secs(10),
            wall: Duration::from_secs(30),
            input_bytes: INPUT_BYTES_MAX,
            output_bytes: OUTPUT_BYTES_MAX,
            log_bytes: 256 << 10,
            requests: 64,
            response_bytes: 10 << 20,
        }
    }
}
