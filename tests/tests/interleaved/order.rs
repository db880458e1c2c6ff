//! What one call is to be like. Drawn by its client, and drawn anew by whoever looks at it: all of
//! it follows from the seed and the number of the call.

use serde_json::{Value, json};
use tests::Era;

use crate::scene::{self, SERVERS, Way};

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) nonce: u64,
    /// The number of the client.
    pub(crate) client: usize,
    /// The number of the server.
    pub(crate) server: usize,
    /// What nobody else can know.
    pub(crate) secret: String,
    /// How long the server takes, in milliseconds.
    pub(crate) delay_ms: u64,
    /// How often the server reports its progress.
    pub(crate) reports: u64,
    /// How often the server asks its client.
    pub(crate) questions: u64,
    /// Whether the server answers with a stream, where it has the choice.
    pub(crate) streams: bool,
    pub(crate) cancel: Option<Cancel>,
}

/// When its client gives a call up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// After as many milliseconds.
    After(u64),
    /// When it hears of progress.
    AtReport,
    /// When it is asked; in the modern era, when it has answered.
    AtQuestion,
}

/// Numbers that are the same for the same seed and call, and yet all over the place.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        Self(mixed(seed ^ mixed(number)))
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// One of that many, beginning with 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.any() % bound
    }
}

impl Order {
    pub(crate) fn draw(seed: u64, nonce: u64, client: usize) -> Self {
        let mut dice = Dice::new(seed, nonce);
        let secret = format!("{:016x}", dice.any());
        // A legacy server on standard streams gives every client that can be asked a process of its
        // own, and so it is the others who share one.
        let among = if scene::is_askable(client) { 7 } else { 12 };
        let server = usize::try_from(dice.below(among)).unwrap().min(7);
        let delay_ms = if dice.below(3) == 0 { dice.below(15) } else { 0 };
        let mut reports = dice.below(6).saturating_sub(3);
        let wanted = dice.below(10).saturating_sub(6);
        let questions = if can_be_asked(client, server) { wanted } else { 0 };
        let streams = dice.below(2) == 0;
        let cancel = match dice.below(30) {
            0 => Some(Cancel::After(dice.below(12))),
            1 if 0 < reports => Some(Cancel::AtReport),
            2..6 if 0 < questions => Some(Cancel::AtQuestion),
            _ => None,
        };
        if cancel == Some(Cancel::AtQuestion) && holds(server) {
            // By which the client knows that its answer has been taken, so that the call ends with it.
            reports = reports.max(1);
        }
        Self { nonce, client, server, secret, delay_ms, reports, questions, streams, cancel }
    }

    /// The arguments of the call, which say whose it is.
    pub(crate) fn arguments(&self) -> String {
        let (nonce, client, secret) = (self.nonce, self.client, &self.secret);
        format!(r#"{{"nonce":{nonce},"client":{client},"secret":"{secret}"}}"#)
    }

    /// The call that has these arguments, if all of them are of one.
    pub(crate) fn of(seed: u64, arguments: &Value) -> Option<Self> {
        let client = usize::try_from(arguments["client"].as_u64()?).ok()?;
        let order = Self::draw(seed, arguments["nonce"].as_u64()?, client);
        let whole: Value = serde_json::from_str(&order.arguments()).unwrap();
        (whole == *arguments).then_some(order)
    }

    /// What the server asks, for the how-manieth time.
    pub(crate) fn question(&self, round: u64) -> Value {
        let form = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        json!({"message": format!("{}?{round}", self.secret), "requestedSchema": form})
    }

    /// What the client answers to that.
    pub(crate) fn answer(&self, round: u64) -> Value {
        json!({"action": "accept", "content": {"a": format!("{}!{round}", self.secret)}})
    }

    /// What a modern server wants back with the answer.
    pub(crate) fn state(&self, round: u64) -> String {
        format!("{}/{round}", self.secret)
    }

    /// What a modern server calls its question.
    pub(crate) fn key(&self, round: u64) -> String {
        format!("k{}-{round}", self.nonce)
    }

    /// The result of the call.
    pub(crate) fn result(&self) -> String {
        let (nonce, secret) = (self.nonce, &self.secret);
        let kind = match SERVERS[self.server].1 {
            Era::Modern => r#""resultType":"complete","#,
            Era::Legacy => "",
        };
        format!(
            r#"{{{kind}"content":[],"structuredContent":{{"nonce":{nonce},"secret":"{secret}","server":{}}}}}"#,
            self.server
        )
    }
}

/// Three quarters of the clients can be asked, and all servers but those where many calls share one
/// stream, on which a question says nothing of its call.
fn can_be_asked(client: usize, server: usize) -> bool {
    let (_, _, way) = SERVERS[server];
    let is_shared = way == Way::Sse && scene::era(client) == Era::Legacy;
    scene::is_askable(client) && way != Way::Pipe && !is_shared
}

/// Whether a server holds a call while it asks, instead of being called anew.
pub(crate) fn holds(server: usize) -> bool {
    SERVERS[server].1 == Era::Legacy
}

fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
