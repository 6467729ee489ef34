//! A summary: rows of one key, or of none, against the sums of our bids of the same key.

use super::{
    Comparison, Group, InvoiceCurrency, Kind, Options, Uncomparable, Verdict, half_decimal, money_in,
    no_rows, share,
};
use crate::reconcile::invoice::{Invoice, Money, Role};
use crate::reconcile::ours::Ours;
use crate::reconcile::split::{GROUPS_MAX, Key, Names, Value};
use crate::units::{Currency, Nanos};
use std::collections::HashMap;

type Groups = HashMap<Vec<Value>, Group>;

pub fn compare(
    ours: &Ours,
    invoice: &mut Invoice,
    names: &Names,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Comparison, Uncomparable> {
    let keys: Vec<Key> = invoice.keys().collect();
    let mut groups = Groups::new();
    let mut currency = InvoiceCurrency::new(ours, options);
    while let Some(row) = invoice.next_row()? {
        if row.line % 4096 == 0 {
            progress(invoice.bytes_read(), invoice.bytes);
        }
        currency.see(invoice, &row)?;
        let impressions = row.impressions_micros.unwrap_or(0);
        let money = match row.money {
            Some(Money::Amount(amount)) => amount,
            Some(Money::PerImpression(price)) => price.for_impressions(impressions),
            None => Nanos::ZERO,
        };
        let group = groups
            .entry(row.keys)
            .or_insert_with(|| Group::new(labelled(invoice.labels())));
        group.theirs.add(1, impressions, money);
        if groups.len() > GROUPS_MAX {
            return Err(Uncomparable::TooManyGroups);
        }
    }
    if invoice.rows == 0 {
        return Err(no_rows(invoice));
    }
    let currency = currency.get()?;
    add_ours(&mut groups, &keys, ours, names, options, currency)?;
    Ok(judge(groups, keys, invoice, options, currency))
}

fn add_ours(
    groups: &mut Groups,
    keys: &[Key],
    ours: &Ours,
    names: &Names,
    options: &Options,
    currency: Currency,
) -> Result<(), Uncomparable> {
    let day = &ours.question.day;
    for (_, bid) in ours.billed() {
        let place = ours.place_of(bid);
        let money = money_in(currency, bid, place, options)?;
        let values = keys
            .iter()
            .map(|&key| names.value(key, bid, place, day))
            .collect();
        let group = groups.entry(values).or_insert_with(|| {
            let labels = keys.iter().map(|&key| names.label(key, bid, place, day));
            Group::new(labelled(labels.collect()))
        });
        group.ours.add(1, bid.impressions_micros, money);
    }
    Ok(())
}

fn labelled(labels: Vec<String>) -> String {
    if labels.is_empty() {
        "all".to_owned()
    } else {
        labels.join(" · ")
    }
}

fn judge(
    groups: Groups,
    keys: Vec<Key>,
    invoice: &Invoice,
    options: &Options,
    currency: Currency,
) -> Comparison {
    let has_impressions = invoice.columns().has(Role::Impressions);
    let has_money = invoice.columns().has(Role::Amount) || invoice.columns().has(Role::Price);
    let half = half_decimal(invoice);
    let mut verdict = Verdict::new();
    let mut impressions_apart = 0u128;
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        if !has_money {
            group.ours.money = Nanos::ZERO;
        }
        let rounding = half.for_impressions(group.theirs.count * Nanos::ONE_IMPRESSION_MICROS);
        let impressions = group
            .ours
            .impressions_micros
            .abs_diff(group.theirs.impressions_micros);
        let same_money = group.apart() <= rounding;
        group.kind = match (group.ours.count, group.theirs.count) {
            (0, _) if group.theirs.money == Nanos::ZERO && group.theirs.impressions_micros == 0 => {
                Kind::Agrees
            }
            (0, _) => Kind::Unknown,
            (_, 0) => Kind::MissingInTheirs,
            _ if same_money && (!has_impressions || impressions == 0) => Kind::Agrees,
            _ => Kind::Differs,
        };
        verdict.add(group.kind, group.ours, group.theirs);
        impressions_apart += u128::from(impressions);
    }
    groups.sort_by(|a, b| {
        let impressions = |group: &Group| {
            group
                .ours
                .impressions_micros
                .abs_diff(group.theirs.impressions_micros)
        };
        (b.apart(), impressions(b), &a.label).cmp(&(a.apart(), impressions(a), &b.label))
    });
    let most = verdict
        .ours
        .impressions_micros
        .max(verdict.theirs.impressions_micros);
    let impressions = if has_impressions {
        share(impressions_apart as f64, most as f64)
    } else {
        0.0
    };
    let money = if has_money { verdict.money_share() } else { 0.0 };
    let apart = money.max(impressions);
    Comparison {
        currency,
        by_bid: false,
        has_money,
        ours: verdict.ours,
        theirs: verdict.theirs,
        kinds: verdict.kinds,
        worst: Vec::new(),
        groups: vec![(keys, groups)],
        apart,
        agrees: apart <= options.tolerance,
    }
}
