use std::time::Duration;

use chrono::{DateTime, Days, TimeZone as _, Utc};
use proptest::prelude::*;

use super::*;
use crate::ConnectionId;

/// A bucket as one would draw it: whole units and a remainder, filled up step by step.
struct Naive {
    rate: Rate,
    /// In units times microseconds of the period.
    credit: u128,
    at: u128,
}

impl Naive {
    fn take(&mut self, cost: u64, now: Duration) -> bool {
        let period = period_us(self.rate.per);
        let full = u128::from(self.rate.burst) * period;
        let earned = (now.as_micros() - self.at) * u128::from(self.rate.amount);
        self.credit = full.min(self.credit + earned);
        self.at = now.as_micros();
        let cost = u128::from(cost) * period;
        let has = cost <= self.credit;
        self.credit -= if has { cost } else { 0 };
        has
    }
}

fn period_us(period: Period) -> u128 {
    let seconds = match period {
        Period::Second => 1,
        Period::Minute => 60,
        Period::Hour => 3_600,
        Period::Day => 86_400,
    };
    seconds * 1_000_000
}

fn rates() -> impl Strategy<Value = Rate> {
    let periods = [Period::Second, Period::Minute, Period::Hour, Period::Day];
    let small = (1u64..50, prop::sample::select(periods.to_vec()), 1u64..50);
    let any = (1..=MOST_UNITS, prop::sample::select(periods.to_vec()), 1..=MOST_UNITS);
    prop_oneof![small, any].prop_map(|(amount, per, burst)| Rate { amount, per, burst })
}

/// Pauses in microseconds, and what is asked for after each.
fn asked() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let pause = prop_oneof![0u64..1_000, 0u64..2_000_000, 0u64..100_000_000_000];
    prop::collection::vec((pause, prop_oneof![1u64..4, 1u64..60]), 1..60)
}

proptest! {
    #[test]
    fn a_rate_admits_what_the_naive_bucket_admits(rate in rates(), asked in asked()) {
        let mut bucket = Bucket::default();
        let full = u128::from(rate.burst) * period_us(rate.per);
        let mut naive = Naive { rate, credit: full, at: 0 };
        let mut now = Duration::ZERO;
        for (pause, cost) in asked {
            now += Duration::from_micros(pause);
            prop_assert_eq!(rate.take(&mut bucket, cost, now).is_ok(), naive.take(cost, now));
        }
    }

    /// To the microsecond: not before, and then at once.
    #[test]
    fn how_long_to_wait_is_true(rate in rates(), asked in asked()) {
        let mut bucket = Bucket::default();
        let mut now = Duration::ZERO;
        for (pause, cost) in asked {
            now += Duration::from_micros(pause);
            match rate.take(&mut bucket, cost, now) {
                Ok(()) => {}
                Err(Short::Ever) => prop_assert!(rate.burst < cost),
                Err(Short::For(wait)) => {
                    let early = wait.saturating_sub(Duration::from_micros(1));
                    prop_assert!(rate.peek(&bucket, cost, now + early).is_err());
                    prop_assert_eq!(rate.peek(&bucket, cost, now + wait), Ok(()));
                }
            }
        }
    }

    /// However long units are held, and whoever uses them: in no span of time are more used than the
    /// burst and what comes back within it.
    #[test]
    fn what_is_leased_never_adds_up_to_more_than_the_rate(
        (amount, burst) in (1u64..2_000, 1u64..500),
        asked in prop::collection::vec((0u64..300_000, 1u64..4, 1u64..60, 0u64..=100), 1..80),
    ) {
        let rate = Rate { amount, per: Period::Second, burst };
        let mut bucket = Bucket::default();
        let mut now = Duration::from_secs(1);
        let mut used: Vec<(u128, u64)> = Vec::new();
        for (pause, cost, wanted, held) in asked {
            now += Duration::from_micros(pause);
            if let Ok(lease) = rate.lease(&mut bucket, (cost, wanted), now) {
                prop_assert!(lease.units >= cost);
                let at = now + lease.life * u32::try_from(held).unwrap() / 100;
                used.push((at.as_micros(), lease.units));
            }
        }
        used.sort_unstable();
        for (i, (from, _)) in used.iter().enumerate() {
            let mut sum = 0;
            for (to, units) in &used[i..] {
                sum += u128::from(*units) * 1_000_000;
                let most = u128::from(burst) * 1_000_000 + (to - from) * u128::from(amount);
                prop_assert!(sum <= most, "{sum} of {most} from {from} to {to}");
            }
        }
    }

    #[test]
    fn a_quota_admits_its_amount_in_each_window(
        amount in 1u64..40,
        per in prop::sample::select(vec![Window::Day, Window::Month]),
        asked in prop::collection::vec((0i64..90_000_000_000, 0u64..6, 0u64..12), 1..80),
    ) {
        let quota = Quota { amount, per };
        let mut now = at(2026, 1, 30);
        let mut spent = quota.unspent(now);
        let (mut sum, mut window) = (0, per.around(now));
        for (pause, cost, wanted) in asked {
            now += chrono::Duration::microseconds(pause);
            if window != per.around(now) {
                (sum, window) = (0, per.around(now));
            }
            match quota.lease(&mut spent, (cost, wanted), now) {
                Ok(lease) => {
                    sum += lease.units;
                    prop_assert!(cost <= lease.units && 0 < lease.units);
                    prop_assert_eq!(now + lease.life, window.1);
                }
                Err(Short::Ever) => prop_assert!(amount < cost.max(1)),
                Err(Short::For(wait)) => {
                    prop_assert!(amount < sum + cost.max(1), "{sum} and {cost} of {amount}");
                    prop_assert_eq!(now + wait, window.1);
                }
            }
            prop_assert!(sum <= amount);
        }
    }
}

#[test]
fn an_answer_may_overdraw_and_the_next_call_waits_for_it() {
    let rate = Rate { amount: 10, per: Period::Second, burst: 10 };
    let (mut bucket, now) = (Bucket::default(), Duration::from_secs(5));
    rate.overdraw(&mut bucket, 25, now);
    assert_eq!(rate.used(&bucket, now), 25);
    assert_eq!(rate.take(&mut bucket, 0, now), Err(Short::For(Duration::from_millis(1_600))));
    assert_eq!(rate.take(&mut bucket, 0, now + Duration::from_millis(1_600)), Ok(()));

    let quota = Quota { amount: 10, per: Window::Day };
    let mut spent = quota.unspent(at(2026, 3, 1));
    quota.overdraw(&mut spent, 25, at(2026, 3, 1));
    let day = Duration::from_secs(86_400);
    assert_eq!(quota.take(&mut spent, 0, at(2026, 3, 1)), Err(Short::For(day)));
    assert_eq!(quota.take(&mut spent, 0, at(2026, 3, 2)), Ok(()));
}

#[test]
fn windows_are_those_of_the_calendar() {
    let cases = [
        (Window::Day, at(2026, 2, 28), at(2026, 2, 28), at(2026, 3, 1)),
        (Window::Month, at(2026, 2, 28), at(2026, 2, 1), at(2026, 3, 1)),
        (Window::Month, at(2026, 12, 31), at(2026, 12, 1), at(2027, 1, 1)),
        (Window::Day, at(2028, 2, 29), at(2028, 2, 29), at(2028, 3, 1)),
    ];
    for (window, now, from, to) in cases {
        assert_eq!(window.around(now + Duration::from_secs(3_600)), (from, to), "{window:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_gives_nothing_back() {
    let quota = Quota { amount: 1, per: Window::Day };
    let today = at(2026, 5, 5);
    let mut spent = quota.unspent(today);
    assert_eq!(quota.take(&mut spent, 1, today), Ok(()));
    let yesterday = today.checked_sub_days(Days::new(1)).unwrap();
    let wait = Duration::from_secs(2 * 86_400);
    assert_eq!(quota.take(&mut spent, 1, yesterday), Err(Short::For(wait)));
}

#[test]
fn what_is_given_back_late_is_lost() {
    let quota = Quota { amount: 10, per: Window::Day };
    let (today, tomorrow) = (at(2026, 5, 5), at(2026, 5, 6));
    let mut spent = quota.unspent(today);
    let lease = quota.lease(&mut spent, (1, 5), today).unwrap();
    assert_eq!((lease.units, lease.window), (5, Some(today)));
    quota.give_back(&mut spent, 2, today);
    assert_eq!(quota.left(&spent), 7);
    quota.take(&mut spent, 4, tomorrow).unwrap();
    quota.give_back(&mut spent, 2, today);
    assert_eq!(quota.left(&spent), 6);
}

#[test]
fn a_call_counts_for_whom_the_scope_says() {
    let id = Uuid::from_u128;
    let call = Subject {
        app: AppId(id(1)),
        token: None,
        user: UserId(id(2)),
        connection: ConnectionId(id(3)),
        gateway: GatewayId(id(4)),
        assignment: None,
        server: Some(ServerId(id(6))),
        identity: None,
        tool: Some("read".into()),
    };
    let teams = BTreeSet::from([TeamId(id(7)), TeamId(id(8))]);
    let tool = |server, name: &str| Scope::Tool(Some((ServerId(id(server)), name.into())));
    let cases = [
        (Scope::Workspace, vec![(9, "")]),
        (Scope::User(None), vec![(2, "")]),
        (Scope::User(Some(UserId(id(2)))), vec![(2, "")]),
        (Scope::User(Some(UserId(id(5)))), vec![]),
        (Scope::App(None), vec![(1, "")]),
        (Scope::App(Some(AppId(id(5)))), vec![]),
        (Scope::Team(None), vec![(7, ""), (8, "")]),
        (Scope::Team(Some(TeamId(id(8)))), vec![(8, "")]),
        (Scope::Gateway(None), vec![(4, "")]),
        (Scope::Gateway(Some(GatewayId(id(5)))), vec![]),
        (Scope::Server(None), vec![(6, "")]),
        (Scope::Server(Some(ServerId(id(5)))), vec![]),
        (Scope::Tool(None), vec![(6, "read")]),
        (tool(6, "read"), vec![(6, "read")]),
        (tool(6, "write"), vec![]),
        (tool(5, "read"), vec![]),
    ];
    let rate = Rate { amount: 1, per: Period::Second, burst: 1 };
    for (scope, holders) in cases {
        let limit = |gateway: Option<u128>| Limit {
            id: LimitId(id(10)),
            name: "few".parse().unwrap(),
            scope: scope.clone(),
            unit: Unit::Calls,
            allowance: Allowance::Rate(rate),
            gateway: gateway.map(|it| GatewayId(id(it))),
        };
        let wanted: Vec<Holder> = holders
            .into_iter()
            .map(|(holder, tool)| Holder { id: id(holder), tool: tool.into() })
            .collect();
        let found = |gateway| limit(gateway).holders(WorkspaceId(id(9)), &call, &teams);
        assert_eq!(found(None), wanted, "{scope:?}");
        assert_eq!(found(Some(4)), wanted, "{scope:?} on the gateway");
        assert_eq!(found(Some(5)), vec![], "{scope:?} on another gateway");
    }
    let list = Subject { server: None, tool: None, ..call };
    for scope in [Scope::Server(None), Scope::Tool(None)] {
        let limit = Limit {
            id: LimitId(id(10)),
            name: "few".parse().unwrap(),
            scope,
            unit: Unit::Calls,
            allowance: Allowance::Rate(rate),
            gateway: None,
        };
        assert_eq!(limit.holders(WorkspaceId(id(9)), &list, &teams), vec![]);
    }
}

fn at(year: i32, month: u32, day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(year, month, day, 0, 0, 0).unwrap()
}
