//! Pure: our own congestion controller, behind quinn's public trait.
//!
//! quinn's CUBIC gives a long line with a little loss a hundredth of its rate, as TCP's does, and
//! its BBR fills every queue it finds; `docs/decisions/0010` has the figures. What decides is in
//! [`rate`]; this room only translates.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

mod cubic;
mod delivery;
mod path;
mod rate;
#[cfg(test)]
mod sim;

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

use rate::Rate;

/// Makes a controller for each connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Config;

impl ControllerFactory for Config {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Paced(Rate::new(now, current_mtu)))
    }
}

/// One connection's controller.
#[derive(Debug, Clone)]
struct Paced(Rate);

impl Controller for Paced {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        self.0.on_sent(now);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        _rtt: &RttEstimator,
    ) {
        self.0.on_ack(now, sent, bytes);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        self.0.on_end_acks(now, in_flight, app_limited);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.0
            .on_congestion(now, sent, lost_bytes, is_persistent_congestion);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.set_mtu(new_mtu);
    }

    fn window(&self) -> u64 {
        self.0.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = ControllerMetrics::default();
        metrics.congestion_window = self.0.window();
        metrics.pacing_rate = self.0.rate().map(|rate| rate.saturating_mul(8));
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.0.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::sim::{Kind, Link, Outcome, run};

    fn alone(link: Link) -> Outcome {
        run(link, &[(Kind::Ours, 0)], 8, 0)[0]
    }

    fn check(link: Link, mbit_min: f64, dropped_max: f64) {
        let outcome = alone(link);
        assert!(
            outcome.mbit >= mbit_min && outcome.dropped <= dropped_max,
            "{outcome:?}"
        );
    }

    #[test]
    fn a_lossy_long_line_is_filled_without_filling_its_queue() {
        for (loss, burst, mbit) in [
            (10, 1, 170.0),
            (20, 1, 168.0),
            (10, 8, 170.0),
            (20, 8, 167.0),
        ] {
            let link = Link {
                loss,
                burst,
                ..Link::new(200, 100)
            };
            check(link, mbit, 10.0);
            let tcp = run(link, &[(Kind::Cubic, 0)], 8, 0)[0];
            assert!(tcp.mbit * 20.0 < mbit, "CUBIC has {tcp:?}");
        }
    }

    #[test]
    fn clean_links_of_every_kind_are_filled() {
        check(Link::new(200, 50), 182.0, 5.0);
        check(Link::new(10, 30), 9.4, 5.0);
        let lan = Link {
            buffer: 500_000,
            ..Link::new(1_000, 1)
        };
        check(lan, 940.0, 1.0);
    }

    #[test]
    fn a_path_that_is_shorter_than_the_delays_of_its_hosts_is_not_starved() {
        let link = Link {
            rtt: Duration::from_micros(100),
            jitter: Duration::from_micros(800),
            buffer: 500_000,
            ..Link::new(1_000, 1)
        };
        let outcome = run(link, &[(Kind::Ours, 0)], 3, 1)[0];
        assert!(outcome.mbit > 940.0, "{outcome:?}");
    }

    #[test]
    fn a_queue_that_is_too_short_for_probes_is_respected() {
        let link = Link {
            buffer: 150_000,
            ..Link::new(200, 50)
        };
        let settled = run(link, &[(Kind::Ours, 0)], 12, 4)[0];
        assert!(
            settled.mbit > 180.0 && settled.dropped < 10.0,
            "{settled:?}"
        );
    }

    #[test]
    fn a_tcp_flow_keeps_its_share() {
        let link = Link::new(200, 50);
        for flows in [
            [(Kind::Ours, 0), (Kind::Cubic, 0)],
            [(Kind::Ours, 0), (Kind::Cubic, 3)],
            [(Kind::Cubic, 0), (Kind::Ours, 3)],
        ] {
            let outcomes = run(link, &flows, 25, 5);
            let all: f64 = outcomes.iter().map(|outcome| outcome.mbit).sum();
            let tcp = flows.iter().position(|flow| flow.0 == Kind::Cubic).unwrap();
            let share = outcomes[tcp].mbit / all;
            assert!((0.35..=0.65).contains(&share), "{share}: {outcomes:?}");
            assert!(all > 180.0, "{outcomes:?}");
        }
    }

    #[test]
    fn two_of_our_own_share() {
        let flows = [(Kind::Ours, 0), (Kind::Ours, 3)];
        let outcomes = run(Link::new(50, 30), &flows, 30, 20);
        let all: f64 = outcomes.iter().map(|outcome| outcome.mbit).sum();
        assert!(outcomes[1].mbit / all > 0.3, "{outcomes:?}");
    }

    #[test]
    fn routers_that_mark_are_heard() {
        let link = Link {
            marks_at: Some(100_000),
            ..Link::new(200, 50)
        };
        let outcome = alone(link);
        assert!(outcome.rtt_ms < 54.0 && outcome.mbit > 170.0, "{outcome:?}");
    }

    #[test]
    fn it_yields_to_loss_above_any_line_s_own() {
        let link = Link {
            loss: 250,
            ..Link::new(200, 100)
        };
        let settled = run(link, &[(Kind::Ours, 0)], 12, 4)[0];
        assert!(settled.mbit < 20.0, "{settled:?}");
    }

    #[test]
    fn a_link_that_goes_away_and_one_that_widens_or_narrows_are_found_again() {
        let seconds = Duration::from_secs;
        let away = Link {
            gap: Some((seconds(3), seconds(8))),
            ..Link::new(200, 50)
        };
        let outcome = run(away, &[(Kind::Ours, 0)], 16, 12)[0];
        assert!(outcome.mbit > 180.0, "{outcome:?}");
        for (before, after) in [(20, 200), (200, 20)] {
            let link = Link {
                later: Some((seconds(4), after)),
                mbit: before,
                ..Link::new(200, 50)
            };
            let outcome = run(link, &[(Kind::Ours, 0)], 14, 8)[0];
            let share = outcome.mbit / f64::from(u16::try_from(after).unwrap());
            assert!(share > 0.9, "{outcome:?}");
        }
    }
}
