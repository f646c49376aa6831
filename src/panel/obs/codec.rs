//! The messages of obs-websocket 5 (rpcVersion 1, JSON): what a client says, taken apart, and what it is told. Pure.
//!
//! What can't be read closes the connection with the protocol's own code, as OBS does; codes and order of checks are OBS's, so that
//! clients meet what they know.

use serde_json::{Map, Value, json};

pub const RPC_VERSION: u64 = 1;
/// Of obs-websocket, and of the OBS that came with it: what clients compare their own with.
pub const WEBSOCKET_VERSION: &str = "5.5.0";
pub const STUDIO_VERSION: &str = "31.0.0";
/// In bytes: a batch of requests has some kilobytes.
pub const LARGEST_MESSAGE: usize = 64 * 1024;
/// Of one batch.
pub const MOST_REQUESTS: usize = 100;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    MessageDecodeError = 4002,
    MissingDataField = 4003,
    InvalidDataFieldType = 4004,
    InvalidDataFieldValue = 4005,
    UnknownOpCode = 4006,
    NotIdentified = 4007,
    AlreadyIdentified = 4008,
    AuthenticationFailed = 4009,
    UnsupportedRpcVersion = 4010,
    /// The password was changed, or Regia ends.
    SessionInvalidated = 4011,
    UnsupportedFeature = 4012,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: CloseCode,
    pub reason: String,
}

impl Close {
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        Close {
            code,
            reason: reason.into(),
        }
    }
}

/// Which events a client wants, as a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriptions(u64);

impl Subscriptions {
    pub const GENERAL: u64 = 1;
    pub const SCENES: u64 = 1 << 2;
    pub const INPUTS: u64 = 1 << 3;
    pub const TRANSITIONS: u64 = 1 << 4;
    pub const OUTPUTS: u64 = 1 << 6;
    /// Those that come often are sent only to whoever asks for them.
    pub const INPUT_ACTIVE: u64 = 1 << 17;
    pub const INPUT_SHOWING: u64 = 1 << 18;
    /// All but those.
    pub const USUAL: Subscriptions = Subscriptions((1 << 12) - 1);

    pub fn has(self, intent: u64) -> bool {
        self.0 & intent != 0
    }
}

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Identify {
        rpc_version: u64,
        authentication: Option<String>,
        events: Subscriptions,
    },
    Reidentify {
        /// None: they stay as they are.
        events: Option<Subscriptions>,
    },
    Request {
        id: String,
        asked: Asked,
    },
    Batch(Batch),
}

/// Requests that are answered one after the other, and together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub id: String,
    /// The first that fails is the last.
    pub halt_on_failure: bool,
    pub requests: Vec<InBatch>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct InBatch {
    pub id: Option<String>,
    /// None: it does not say what it asks for.
    pub asked: Option<Asked>,
}

impl InBatch {
    /// A start waits for pre-flight.
    pub fn may_be_slow(&self) -> bool {
        let kind = self.asked.as_ref().map(|asked| asked.kind.as_str());
        matches!(kind, Some("StartStream" | "ToggleStream"))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub kind: String,
    /// Empty: none came.
    pub data: Map<String, Value>,
}

/// Reads one message. `identified`: the client has said who it is.
pub fn read(text: &str, identified: bool) -> Result<Heard, Close> {
    let message: Value = serde_json::from_str(text)
        .map_err(|_| Close::new(CloseCode::MessageDecodeError, "The message is not JSON."))?;
    let Value::Object(mut message) = message else {
        let reason = "The message is not an object.";
        return Err(Close::new(CloseCode::MessageDecodeError, reason));
    };
    let unknown = |reason: &str| Close::new(CloseCode::UnknownOpCode, reason);
    let op = match message.get("op") {
        None => return Err(unknown("The message has no op.")),
        Some(op) => op.as_u64(),
    };
    let op = op.ok_or_else(|| unknown("The message's op is not a number of an operation."))?;
    if !identified && op != 1 {
        let reason = "Only Identify (op 1) may come before Identified.";
        return Err(Close::new(CloseCode::NotIdentified, reason));
    }
    let data = match message.remove("d") {
        Some(Value::Object(data)) => data,
        None | Some(Value::Null) => return Err(missing("d")),
        Some(_) => return Err(not_a("d", "an object")),
    };
    match op {
        1 if identified => {
            let reason = "Identify comes once; Reidentify (op 3) changes what it said.";
            Err(Close::new(CloseCode::AlreadyIdentified, reason))
        }
        1 => Ok(Heard::Identify {
            rpc_version: match data.get("rpcVersion") {
                None => return Err(missing("rpcVersion")),
                Some(version) => version
                    .as_u64()
                    .ok_or_else(|| not_a("rpcVersion", "a number"))?,
            },
            authentication: text_of(&data, "authentication")?,
            events: events(&data)?.unwrap_or(Subscriptions::USUAL),
        }),
        3 => Ok(Heard::Reidentify {
            events: events(&data)?,
        }),
        6 => request(data),
        8 => batch(data).map(Heard::Batch),
        0 | 2 | 5 | 7 | 9 => Err(unknown("That op is the server's, not a client's.")),
        _ => Err(unknown("There is no such op.")),
    }
}

fn missing(field: &str) -> Close {
    Close::new(
        CloseCode::MissingDataField,
        format!("The message has no {field}."),
    )
}

fn not_a(field: &str, what: &str) -> Close {
    Close::new(
        CloseCode::InvalidDataFieldType,
        format!("The message's {field} is not {what}."),
    )
}

fn text_of(data: &Map<String, Value>, field: &str) -> Result<Option<String>, Close> {
    match data.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(not_a(field, "a string")),
    }
}

fn events(data: &Map<String, Value>) -> Result<Option<Subscriptions>, Close> {
    match data.get("eventSubscriptions") {
        None | Some(Value::Null) => Ok(None),
        Some(mask) => mask
            .as_u64()
            .map(|mask| Some(Subscriptions(mask)))
            .ok_or_else(|| not_a("eventSubscriptions", "a number of 0 or more")),
    }
}

fn asked(data: &mut Map<String, Value>, kind: String) -> Asked {
    Asked {
        kind,
        data: match data.remove("requestData") {
            Some(Value::Object(data)) => data,
            _ => Map::new(),
        },
    }
}

fn request(mut data: Map<String, Value>) -> Result<Heard, Close> {
    let kind = text_of(&data, "requestType")?.ok_or_else(|| missing("requestType"))?;
    let id = text_of(&data, "requestId")?.ok_or_else(|| missing("requestId"))?;
    Ok(Heard::Request {
        id,
        asked: asked(&mut data, kind),
    })
}

fn batch(mut data: Map<String, Value>) -> Result<Batch, Close> {
    let id = text_of(&data, "requestId")?.ok_or_else(|| missing("requestId"))?;
    let halt_on_failure = match data.get("haltOnFailure") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(halt)) => *halt,
        Some(_) => return Err(not_a("haltOnFailure", "true or false")),
    };
    // 0: one after the other, which is the only way here.
    match data.get("executionType") {
        None | Some(Value::Null) => {}
        Some(way) => match way.as_i64() {
            None => return Err(not_a("executionType", "a number")),
            Some(0) => {}
            Some(-1 | 1 | 2) => {
                let reason = "Batches run one request after the other here (executionType 0).";
                return Err(Close::new(CloseCode::UnsupportedFeature, reason));
            }
            Some(_) => {
                let reason = "There is no such executionType.";
                return Err(Close::new(CloseCode::InvalidDataFieldValue, reason));
            }
        },
    }
    let all = match data.remove("requests") {
        None | Some(Value::Null) => return Err(missing("requests")),
        Some(Value::Array(all)) => all,
        Some(_) => return Err(not_a("requests", "a list")),
    };
    if all.len() > MOST_REQUESTS {
        let reason = format!("A batch has at most {MOST_REQUESTS} requests here.");
        return Err(Close::new(CloseCode::InvalidDataFieldValue, reason));
    }
    let requests = all.into_iter().map(in_batch).collect();
    Ok(Batch {
        id,
        halt_on_failure,
        requests,
    })
}

fn in_batch(request: Value) -> InBatch {
    let Value::Object(mut data) = request else {
        return InBatch {
            id: None,
            asked: None,
        };
    };
    let id = data.get("requestId").and_then(Value::as_str);
    InBatch {
        id: id.map(str::to_owned),
        asked: match data.remove("requestType") {
            Some(Value::String(kind)) => Some(asked(&mut data, kind)),
            _ => None,
        },
    }
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Null: nothing is to be told.
    Done(Value),
    Failed(Failure),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub status: RequestStatus,
    /// What is wrong and what to do.
    pub comment: String,
}

/// OBS's numbers for what a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestStatus {
    MissingRequestType = 203,
    UnknownRequestType = 204,
    NotReady = 207,
    MissingRequestField = 300,
    InvalidRequestFieldType = 401,
    RequestFieldOutOfRange = 402,
    RequestFieldEmpty = 403,
    OutputRunning = 500,
    OutputNotRunning = 501,
    OutputDisabled = 504,
    ResourceNotFound = 600,
    InvalidResourceState = 604,
    ResourceActionFailed = 701,
    RequestProcessingFailed = 702,
    CannotAct = 703,
}

const SUCCESS: u16 = 100;

/// The first message. `authentication`: challenge and salt, where a password is needed.
pub fn hello(authentication: Option<(&str, &str)>) -> String {
    let mut data = json!({
        "obsStudioVersion": STUDIO_VERSION,
        "obsWebSocketVersion": WEBSOCKET_VERSION,
        "rpcVersion": RPC_VERSION,
    });
    if let Some((challenge, salt)) = authentication {
        data["authentication"] = json!({"challenge": challenge, "salt": salt});
    }
    message(0, data)
}

pub fn identified() -> String {
    message(2, json!({"negotiatedRpcVersion": RPC_VERSION}))
}

pub fn event(kind: &str, intent: u64, data: Value) -> String {
    let mut all = json!({"eventType": kind, "eventIntent": intent});
    if !data.is_null() {
        all["eventData"] = data;
    }
    message(5, all)
}

pub fn response(id: &str, kind: &str, outcome: Outcome) -> String {
    let mut data = result(kind, outcome);
    data["requestId"] = id.into();
    message(7, data)
}

pub fn batch_response(id: &str, results: Vec<Value>) -> String {
    message(9, json!({"requestId": id, "results": results}))
}

/// One of a batch's results.
pub fn batch_result(request: &InBatch, outcome: Outcome) -> Value {
    let kind = request.asked.as_ref().map(|asked| asked.kind.as_str());
    let mut data = result(kind.unwrap_or_default(), outcome);
    if let Some(id) = &request.id {
        data["requestId"] = id.as_str().into();
    }
    data
}

fn result(kind: &str, outcome: Outcome) -> Value {
    match outcome {
        Outcome::Done(data) => {
            let status = json!({"result": true, "code": SUCCESS});
            let mut all = json!({"requestType": kind, "requestStatus": status});
            if !data.is_null() {
                all["responseData"] = data;
            }
            all
        }
        Outcome::Failed(Failure { status, comment }) => {
            let status = json!({"result": false, "code": status as u16, "comment": comment});
            json!({"requestType": kind, "requestStatus": status})
        }
    }
}

fn message(op: u8, data: Value) -> String {
    json!({"op": op, "d": data}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(text: &str, identified: bool) -> u16 {
        match read(text, identified) {
            Err(close) => close.code as u16,
            Ok(heard) => panic!("{text}: {heard:?}"),
        }
    }

    #[test]
    fn what_is_no_message_closes_with_its_code() {
        for (text, expected) in [
            ("", 4002),
            ("nonsense", 4002),
            ("[]", 4002),
            ("7", 4002),
            ("{}", 4006),
            (r#"{"op":"1"}"#, 4006),
            (r#"{"op":-1}"#, 4006),
            (r#"{"op":6,"d":{}}"#, 4007),
            (r#"{"op":3,"d":{}}"#, 4007),
            (r#"{"op":77}"#, 4007),
            (r#"{"op":1}"#, 4003),
            (r#"{"op":1,"d":null}"#, 4003),
            (r#"{"op":1,"d":[]}"#, 4004),
            (r#"{"op":1,"d":{}}"#, 4003),
            (r#"{"op":1,"d":{"rpcVersion":"1"}}"#, 4004),
            (r#"{"op":1,"d":{"rpcVersion":1,"authentication":7}}"#, 4004),
            (
                r#"{"op":1,"d":{"rpcVersion":1,"eventSubscriptions":-1}}"#,
                4004,
            ),
        ] {
            assert_eq!(code(text, false), expected, "{text}");
        }
        for (text, expected) in [
            (r#"{"op":1,"d":{"rpcVersion":1}}"#, 4008),
            (r#"{"op":4,"d":{}}"#, 4006),
            (r#"{"op":7,"d":{}}"#, 4006),
            (r#"{"op":6,"d":{"requestId":"1"}}"#, 4003),
            (r#"{"op":6,"d":{"requestType":"GetStats"}}"#, 4003),
            (
                r#"{"op":6,"d":{"requestType":"GetStats","requestId":1}}"#,
                4004,
            ),
            (r#"{"op":8,"d":{"requests":[]}}"#, 4003),
            (r#"{"op":8,"d":{"requestId":"1"}}"#, 4003),
            (r#"{"op":8,"d":{"requestId":"1","requests":{}}}"#, 4004),
            (
                r#"{"op":8,"d":{"requestId":"1","requests":[],"haltOnFailure":1}}"#,
                4004,
            ),
            (
                r#"{"op":8,"d":{"requestId":"1","requests":[],"executionType":"0"}}"#,
                4004,
            ),
            (
                r#"{"op":8,"d":{"requestId":"1","requests":[],"executionType":2}}"#,
                4012,
            ),
            (
                r#"{"op":8,"d":{"requestId":"1","requests":[],"executionType":9}}"#,
                4005,
            ),
        ] {
            assert_eq!(code(text, true), expected, "{text}");
        }
        let many = vec!["{}"; MOST_REQUESTS + 1].join(",");
        let text = format!(r#"{{"op":8,"d":{{"requestId":"1","requests":[{many}]}}}}"#);
        assert_eq!(code(&text, true), 4005);
        assert_eq!(code(&"[".repeat(60_000), true), 4002, "deeper than any");
    }

    #[test]
    fn what_is_said_is_taken_apart() {
        let identify = read(
            r#"{"op":1,"d":{"rpcVersion":1,"eventSubscriptions":4}}"#,
            false,
        );
        let events = Subscriptions(Subscriptions::SCENES);
        assert_eq!(
            identify,
            Ok(Heard::Identify {
                rpc_version: 1,
                authentication: None,
                events
            })
        );
        assert!(events.has(Subscriptions::SCENES) && !events.has(Subscriptions::INPUTS));
        assert!(Subscriptions::USUAL.has(Subscriptions::OUTPUTS));
        assert!(!Subscriptions::USUAL.has(Subscriptions::INPUT_ACTIVE));
        let text = r#"{"op":8,"d":{"requestId":"b","haltOnFailure":true,"requests":[
            {"requestType":"GetInputMute","requestId":"one","requestData":{"inputName":"hall"}}, {"requestType":7}, "x"]}}"#;
        let Ok(Heard::Batch(batch)) = read(text, true) else {
            panic!();
        };
        assert!(batch.halt_on_failure);
        let first = batch.requests[0].asked.as_ref().unwrap();
        assert_eq!(first.data["inputName"], "hall");
        assert_eq!(batch.requests[0].id.as_deref(), Some("one"));
        assert_eq!(batch.requests[1].asked, None);
        assert_eq!(batch.requests[2].asked, None);
    }

    #[test]
    fn what_is_told_is_obs_s_own_form() {
        let failed = Outcome::Failed(Failure {
            status: RequestStatus::UnknownRequestType,
            comment: "no".to_owned(),
        });
        let told: Value = serde_json::from_str(&response("7", "Dance", failed)).unwrap();
        assert_eq!(
            told,
            json!({"op": 7, "d": {"requestType": "Dance", "requestId": "7",
                "requestStatus": {"result": false, "code": 204, "comment": "no"}}})
        );
        let told: Value =
            serde_json::from_str(&response("8", "StartStream", Outcome::Done(Value::Null)))
                .unwrap();
        assert_eq!(
            told["d"]["requestStatus"],
            json!({"result": true, "code": 100})
        );
        assert!(told["d"].get("responseData").is_none());
        let hello: Value = serde_json::from_str(&hello(Some(("c", "s")))).unwrap();
        assert_eq!(
            hello["d"]["authentication"],
            json!({"challenge": "c", "salt": "s"})
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_closed(text: String, identified: bool) {
            let _ = read(&text, identified);
        }

        #[test]
        fn any_message_is_read_or_closed(
            op in -1..12i64,
            data in "\\{(\"(rpcVersion|requestId|requestType|requests|eventSubscriptions|executionType)\":(1|\"x\"|\\[\\]|\\{\\}|null),?){0,4}\\}",
            identified: bool,
        ) {
            let data = data.replace(",}", "}");
            let _ = read(&format!(r#"{{"op":{op},"d":{data}}}"#), identified);
        }
    }
}
