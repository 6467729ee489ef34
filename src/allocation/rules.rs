//! The rules by which a campaign moves its money between slices of its sources: pure, one slice at a time.

use super::sources::Sums;
use crate::units::{Nanos, ObjectId};

/// Of one campaign, in the accounting currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Slices are judged this often.
    pub every_ms: i64,
    /// The conversion that counts.
    pub event: ObjectId,
    /// A slice is judged once it has so many conversions, or has cost as much as so many may.
    pub conversions_min: f64,
    /// What a conversion may cost; a slice without any is judged by it.
    pub cac_max: Option<Nanos>,
    /// A weight above waits for a person.
    pub approve_above: f64,
    pub ltv: Option<LtvRule>,
    pub roi: Option<RoiRule>,
    pub retention: Option<RetentionRule>,
    /// A slice that is below its target rests this long.
    pub pause_ms: i64,
}

/// Lifetime value by cost of a conversion: over `more_over` more, under `less_under` less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LtvRule {
    /// Of a converted user; `None` = what conversions are told to be worth.
    pub ltv: Option<Nanos>,
    pub more_over: f64,
    pub less_under: f64,
    /// The part by which a weight is raised or lowered.
    pub step: f64,
}

/// (value − cost) / cost: over `more_over` (1.5 = 150 %) the weight is raised by `step`; below `target` the slice rests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiRule {
    pub more_over: f64,
    pub step: f64,
    pub target: Option<f64>,
}

/// A slice that many click and few stay with: its click rate is `ctr_over` times the campaign's, and of its conversions less than
/// `floor` are followed by `event`. Its weight is lowered by `step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetentionRule {
    pub event: ObjectId,
    pub floor: f64,
    pub ctr_over: f64,
    pub step: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The weight is multiplied.
    Times(f64),
    Pause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    BelowTarget,
    LowRetention,
    LtvUnderCost,
    LtvOverCost,
    HighRoi,
}

impl Cause {
    pub fn name(self) -> &'static str {
        match self {
            Cause::BelowTarget => "below_target",
            Cause::LowRetention => "low_retention",
            Cause::LtvUnderCost => "ltv_under_cost",
            Cause::LtvOverCost => "ltv_over_cost",
            Cause::HighRoi => "high_roi",
        }
    }
}

/// What the rules make of one slice; the strictest rule speaks. `ctr` is the whole campaign's. `None`: it stays as it is.
pub fn judge(rules: &Rules, slice: &Sums, ctr: f64) -> Option<(Change, Cause)> {
    let (conversions, value) = slice.of(rules.event);
    let due = rules.cac_max.map(|cac| rules.conversions_min * cac.0 as f64);
    let is_judged = conversions >= rules.conversions_min || due.is_some_and(|due| slice.cost >= due);
    if !is_judged || slice.cost <= 0.0 {
        return None;
    }
    let roi = value / slice.cost - 1.0;
    let ratio = rules.ltv.map(|rule| {
        let worth = rule.ltv.map_or(value, |ltv| conversions * ltv.0 as f64);
        (rule, worth / slice.cost)
    });
    if let Some(RoiRule {
        target: Some(target), ..
    }) = rules.roi
        && roi < target
    {
        return Some((Change::Pause, Cause::BelowTarget));
    }
    if let Some(rule) = rules.retention
        && slice.ctr() > rule.ctr_over * ctr
        && slice.of(rule.event).0 < rule.floor * conversions
    {
        return Some((Change::Times(1.0 - rule.step), Cause::LowRetention));
    }
    match ratio {
        Some((rule, ratio)) if ratio < rule.less_under => {
            return Some((Change::Times(1.0 - rule.step), Cause::LtvUnderCost));
        }
        Some((rule, ratio)) if ratio > rule.more_over => {
            return Some((Change::Times(1.0 + rule.step), Cause::LtvOverCost));
        }
        _ => {}
    }
    let rule = rules.roi.filter(|rule| roi > rule.more_over)?;
    Some((Change::Times(1.0 + rule.step), Cause::HighRoi))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUY: ObjectId = ObjectId(1);
    const STAYED: ObjectId = ObjectId(2);

    fn rules() -> Rules {
        Rules {
            every_ms: 86_400_000,
            event: BUY,
            conversions_min: 10.0,
            cac_max: Some(Nanos(40 * Nanos::PER_UNIT)),
            approve_above: 2.0,
            ltv: None,
            roi: None,
            retention: None,
            pause_ms: 7 * 86_400_000,
        }
    }

    fn ltv() -> Rules {
        let rule = LtvRule {
            ltv: Some(Nanos(30 * Nanos::PER_UNIT)),
            more_over: 3.0,
            less_under: 1.0,
            step: 0.2,
        };
        Rules {
            ltv: Some(rule),
            ..rules()
        }
    }

    fn roi(target: Option<f64>) -> Rules {
        let rule = RoiRule {
            more_over: 1.5,
            step: 0.3,
            target,
        };
        Rules {
            roi: Some(rule),
            ..rules()
        }
    }

    /// 20 conversions of 30 units each, which cost so much in all.
    fn slice(cost: f64) -> Sums {
        let mut sums = Sums {
            impressions: 100_000.0,
            clicks: 100.0,
            cost: cost * 1e9,
            ..Sums::default()
        };
        sums.events[0] = (BUY.0, 20.0, 600e9);
        sums
    }

    /// A cost at which LTV / CAC, or 1 + ROI, is this ratio.
    fn at(ratio: f64) -> Sums {
        slice(600.0 / ratio)
    }

    #[test]
    fn a_lifetime_value_of_more_than_three_times_the_cost_gets_more_and_of_less_than_the_cost_less() {
        let change = |ratio| judge(&ltv(), &at(ratio), 0.001);
        assert_eq!(change(3.01), Some((Change::Times(1.2), Cause::LtvOverCost)));
        assert_eq!(change(2.99), None);
        assert_eq!(change(1.01), None);
        assert_eq!(change(0.99), Some((Change::Times(0.8), Cause::LtvUnderCost)));
    }

    #[test]
    fn a_return_over_150_percent_gets_30_percent_more_and_below_the_target_nothing() {
        let change = |percent: f64, target| judge(&roi(target), &at(1.0 + percent / 100.0), 0.001);
        assert_eq!(change(151.0, None), Some((Change::Times(1.3), Cause::HighRoi)));
        assert_eq!(change(149.0, None), None);
        assert_eq!(change(19.0, Some(0.2)), Some((Change::Pause, Cause::BelowTarget)));
        assert_eq!(change(21.0, Some(0.2)), None);
    }

    #[test]
    fn a_slice_that_many_click_and_few_stay_with_gets_less() {
        let rule = RetentionRule {
            event: STAYED,
            floor: 0.25,
            ctr_over: 1.5,
            step: 0.2,
        };
        let rules = Rules {
            retention: Some(rule),
            ..rules()
        };
        let with = |stayed| {
            let mut sums = slice(100.0);
            sums.events[1] = (STAYED.0, stayed, 0.0);
            sums
        };
        let less = Some((Change::Times(0.8), Cause::LowRetention));
        assert_eq!(judge(&rules, &with(4.9), 0.0006), less);
        assert_eq!(judge(&rules, &with(5.1), 0.0006), None, "enough stay");
        assert_eq!(
            judge(&rules, &with(4.9), 0.0008),
            None,
            "it is not clicked more than others"
        );
        assert_eq!(judge(&rules, &slice(100.0), 0.0006), less, "nobody stays");
    }

    #[test]
    fn too_little_is_not_judged_but_money_without_conversions_is() {
        let mut few = slice(600.0 / 3.5);
        few.events[0] = (BUY.0, 9.0, 270e9);
        assert_eq!(judge(&ltv(), &few, 0.001), None);
        let none = |cost| Sums {
            cost: cost * 1e9,
            impressions: 1e5,
            ..Sums::default()
        };
        assert_eq!(judge(&ltv(), &none(399.0), 0.001), None);
        let less = Some((Change::Times(0.8), Cause::LtvUnderCost));
        assert_eq!(
            judge(&ltv(), &none(401.0), 0.001),
            less,
            "ten conversions might have cost 400"
        );
    }
}
