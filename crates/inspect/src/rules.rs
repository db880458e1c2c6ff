//! The compiled rules of a workspace.

use std::sync::Arc;

use aws_lc_rs::hmac;
use memchr::memchr;

use crate::bits::{Bits, MAX_RULES};
use crate::json::unescape;
use crate::pass::{Pass, unreadable};
use crate::prefilter::Prefilter;
use crate::rule::{Rule, RuleError};
use crate::{Leg, RuleSpec, ToolScope, Verdict};

/// Rules that are ready to run. A clone is another handle to the same rules.
#[derive(Clone)]
pub struct Rules(Arc<Compiled>);

struct Compiled {
    rules: Vec<Rule>,
    request: LegRules,
    response: LegRules,
}

/// The rules that look at one leg.
struct LegRules {
    prefilter: Prefilter,
    /// Those that look at every tool.
    everywhere: Bits,
    /// Those that have to be asked.
    scoped: Bits,
}

impl Rules {
    /// `salt` keys the action [`Hash`](crate::Action::Hash): who knows it can guess hashed values.
    pub fn compile(specs: &[RuleSpec], salt: [u8; 32]) -> Result<Self, RuleError> {
        if specs.len() > MAX_RULES {
            return Err(RuleError::TooMany { count: specs.len() });
        }
        let salt = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &salt));
        let rules =
            specs.iter().map(|spec| Rule::compile(spec, &salt)).collect::<Result<Vec<_>, _>>()?;
        let request = LegRules::new(&rules, |rule| rule.legs.request);
        let response = LegRules::new(&rules, |rule| rule.legs.response);
        Ok(Self(Arc::new(Compiled { rules, request, response })))
    }

    pub fn is_empty(&self) -> bool {
        self.0.rules.is_empty()
    }

    /// Whether any rule looks at this leg of the tool's calls. Where none does, the content need
    /// not be read. `tool` is the name on its server.
    pub fn applies(&self, leg: Leg, server: &str, tool: &str) -> bool {
        !self.active(leg, server, tool).is_empty()
    }

    /// Runs the rules over `json`, one valid JSON value in UTF-8: a call's `params.arguments` or
    /// its `result`. Content that cannot be read is blocked, for want of knowing better.
    pub fn apply(&self, leg: Leg, server: &str, tool: &str, json: &[u8]) -> Verdict {
        let active = self.active(leg, server, tool);
        if active.is_empty() {
            return Verdict::Clean;
        }
        let Ok(json) = str::from_utf8(json) else { return unreadable() };
        let rules = &self.0.rules[..];
        let prefilter = &self.leg(leg).prefilter;
        // Decoded as a whole, each string is decoded within it.
        let candidates = match memchr(b'\\', json.as_bytes()) {
            Some(_) => prefilter.candidates(rules, &unescape(json), active),
            None => prefilter.candidates(rules, json, active),
        };
        if candidates.is_empty() {
            return Verdict::Clean;
        }
        Pass::new(rules, active, candidates, leg, json).run()
    }

    fn leg(&self, leg: Leg) -> &LegRules {
        match leg {
            Leg::Request => &self.0.request,
            Leg::Response => &self.0.response,
        }
    }

    fn active(&self, leg: Leg, server: &str, tool: &str) -> Bits {
        let leg = self.leg(leg);
        let mut active = leg.everywhere;
        for index in leg.scoped.iter() {
            if self.0.rules[index].tools.includes(server, tool) {
                active.insert(index);
            }
        }
        active
    }
}

impl Default for Rules {
    /// No rules: everything is clean.
    fn default() -> Self {
        let none = || LegRules::new(&[], |_| false);
        Self(Arc::new(Compiled { rules: Vec::new(), request: none(), response: none() }))
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.rules.iter().map(|rule| &rule.name)).finish()
    }
}

impl LegRules {
    fn new(rules: &[Rule], is_member: impl Fn(&Rule) -> bool) -> Self {
        let mut everywhere = Bits::NONE;
        let mut scoped = Bits::NONE;
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| is_member(rule)) {
            match rule.tools {
                ToolScope::All => everywhere.insert(index),
                ToolScope::Named(_) => scoped.insert(index),
            }
        }
        let prefilter = Prefilter::new(rules, everywhere.union(scoped));
        Self { prefilter, everywhere, scoped }
    }
}

impl ToolScope {
    fn includes(&self, server: &str, tool: &str) -> bool {
        let Self::Named(names) = self else { return true };
        let is_joined = |name: &String| {
            let joint = name.strip_prefix(server).and_then(|rest| rest.strip_suffix(tool));
            matches!(joint, Some("__" | "/"))
        };
        names.contains(tool) || names.iter().any(is_joined)
    }
}
