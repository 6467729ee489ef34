//! Which column of an invoice is what: by the name in its header, or as it is told.

use crate::units::Currency;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Our bid id, `bid.id` on the wire.
    Bid,
    /// Per thousand impressions.
    Price,
    /// Money of the row.
    Amount,
    Impressions,
    Deal,
    Seat,
    Campaign,
    Creative,
    Hour,
    Day,
    Currency,
}

impl Role {
    /// The name in `--columns`, and the names in headers, in lower case and without anything but letters and digits.
    const NAMES: [(Role, &'static str, &'static [&'static str]); 11] = [
        (
            Role::Bid,
            "bid",
            &[
                "bid",
                "bidid",
                "dspbidid",
                "buyerbidid",
                "biddersbidid",
                "externalbidid",
            ],
        ),
        (
            Role::Price,
            "price",
            &[
                "price",
                "cpm",
                "clearingprice",
                "auctionprice",
                "winprice",
                "winningprice",
                "pricecpm",
                "cpmprice",
                "settlementprice",
                "pricepaid",
                "paidprice",
            ],
        ),
        (
            Role::Amount,
            "amount",
            &[
                "amount",
                "spend",
                "cost",
                "revenue",
                "charge",
                "charged",
                "spent",
                "mediacost",
                "mediaspend",
                "totalspend",
                "totalcost",
                "totalamount",
                "netamount",
                "netspend",
                "buyerspend",
                "advertiserspend",
                "billedamount",
            ],
        ),
        (
            Role::Impressions,
            "impressions",
            &[
                "impressions",
                "imps",
                "impression",
                "imp",
                "billedimpressions",
                "billableimpressions",
                "paidimpressions",
                "impressioncount",
                "totalimpressions",
            ],
        ),
        (Role::Deal, "deal", &["deal", "dealid"]),
        (
            Role::Seat,
            "seat",
            &["seat", "seatid", "buyerseat", "buyerseatid"],
        ),
        (Role::Campaign, "campaign", &["campaign", "campaignid", "cid"]),
        (
            Role::Creative,
            "creative",
            &["creative", "creativeid", "crid", "buyercreativeid"],
        ),
        (
            Role::Hour,
            "hour",
            &["hour", "hourofday", "datehour", "datetime", "timestamp", "time"],
        ),
        (Role::Day, "day", &["day", "date"]),
        (Role::Currency, "currency", &["currency", "cur", "currencycode"]),
    ];

    pub fn name(self) -> &'static str {
        let known = Role::NAMES.iter().find(|(role, ..)| *role == self);
        known.expect("every role has a name").1
    }

    fn named(name: &str) -> Option<Role> {
        let known = Role::NAMES.iter().find(|(_, known, _)| *known == name);
        known.map(|(role, ..)| *role)
    }

    /// Of a header, with the currency that some have behind it: `Spend (USD)`.
    fn of_header(header: &str) -> Option<(Role, Option<Currency>)> {
        let plain: String = header.chars().filter(|c| c.is_alphanumeric()).collect();
        let plain = plain.to_lowercase();
        let find = |text: &str| {
            let known = Role::NAMES.iter().find(|(.., names)| names.contains(&text));
            known.map(|(role, ..)| *role)
        };
        if let Some(role) = find(&plain) {
            return Some((role, None));
        }
        let at = plain
            .len()
            .checked_sub(3)
            .filter(|&at| plain.is_char_boundary(at))?;
        let role = find(&plain[..at]).filter(|role| matches!(role, Role::Price | Role::Amount))?;
        Some((role, Some(Currency::parse(&plain[at..])?)))
    }
}

/// Which column has which role. Made by [`Columns::find`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    names: Vec<String>,
    places: Vec<(Role, usize)>,
    /// That the header of price or amount names.
    pub currency: Option<Currency>,
}

impl Columns {
    /// By the names in `header`; what `told` says (`role=column,…`) counts before them.
    ///
    /// # Errors
    /// A role or column that there is not, or two columns for one role.
    pub fn find<'h>(header: impl Iterator<Item = &'h str>, told: Option<&str>) -> Result<Columns, String> {
        let names: Vec<String> = header.map(|name| name.trim().to_owned()).collect();
        let mut columns = Columns {
            names,
            places: Vec::new(),
            currency: None,
        };
        for pair in told
            .unwrap_or_default()
            .split(',')
            .filter(|pair| !pair.trim().is_empty())
        {
            columns.tell(pair)?;
        }
        let told = columns.places.len();
        for place in 0..columns.names.len() {
            let Some((role, currency)) = Role::of_header(&columns.names[place]) else {
                continue;
            };
            let is_told = |(known, at): &(Role, usize)| *known == role || *at == place;
            if columns.places[..told].iter().any(is_told) {
                continue;
            }
            if let Some(other) = columns.place(role) {
                return Err(format!(
                    "`{}` and `{}` could both be the {}: say which with --columns {}=NAME",
                    columns.names[other],
                    columns.names[place],
                    role.name(),
                    role.name()
                ));
            }
            columns.currency = columns.currency.or(currency);
            columns.places.push((role, place));
        }
        Ok(columns)
    }

    fn tell(&mut self, pair: &str) -> Result<(), String> {
        let roles = || Role::NAMES.map(|(_, name, _)| name).join(", ");
        let (role, name) = pair
            .split_once('=')
            .ok_or_else(|| format!("--columns: `{pair}` is not ROLE=NAME, such as bid=Impression ID"))?;
        let role = Role::named(role.trim())
            .ok_or_else(|| format!("--columns: `{}` is none of {}", role.trim(), roles()))?;
        let place = self
            .names
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name.trim()));
        let place = place.ok_or_else(|| {
            format!(
                "--columns: there is no column `{}`; there are {}",
                name.trim(),
                self.names.join(", ")
            )
        })?;
        if self.place(role).is_some() {
            return Err(format!("--columns: {} is named twice", role.name()));
        }
        self.places.push((role, place));
        Ok(())
    }

    pub fn has(&self, role: Role) -> bool {
        self.place(role).is_some()
    }

    pub fn place(&self, role: Role) -> Option<usize> {
        let found = self.places.iter().find(|(known, _)| *known == role);
        found.map(|(_, place)| *place)
    }

    pub fn name(&self, place: usize) -> &str {
        &self.names[place]
    }

    /// Names of columns that nothing is read from.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        let used = |place: &usize| self.places.iter().any(|(_, known)| known == place);
        (0..self.names.len())
            .filter(move |place| !used(place))
            .map(|place| self.names[place].as_str())
    }

    pub fn all(&self) -> String {
        self.names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: &str, told: Option<&str>) -> Result<Vec<(Role, usize)>, String> {
        let columns = Columns::find(header.split('|'), told)?;
        let mut places = columns.places;
        places.sort_by_key(|(_, place)| *place);
        Ok(places)
    }

    #[test]
    fn columns_are_found_by_what_exchanges_call_them() {
        let found = find("Bid ID|CLEARING_PRICE|x|Deal-Id", None).unwrap();
        assert_eq!(found, [(Role::Bid, 0), (Role::Price, 1), (Role::Deal, 3)]);
        let found = find("date|Hour|Imps|Spend (USD)", None).unwrap();
        assert_eq!(
            found,
            [
                (Role::Day, 0),
                (Role::Hour, 1),
                (Role::Impressions, 2),
                (Role::Amount, 3)
            ]
        );
        let columns = Columns::find(["Spend (USD)"].into_iter(), None).unwrap();
        assert_eq!(columns.currency, Some(Currency::USD));
    }

    #[test]
    fn two_columns_for_one_thing_have_to_be_told_apart() {
        let said = find("spend|revenue", None).unwrap_err();
        assert!(
            said.contains("`spend` and `revenue`") && said.contains("--columns amount="),
            "{said}"
        );
        let told = find("spend|revenue", Some("amount=revenue")).unwrap();
        assert_eq!(told, [(Role::Amount, 1)]);
        for (told, part) in [
            ("amount", "ROLE=NAME"),
            ("money=spend", "none of bid, price"),
            (
                "amount=cost",
                "there is no column `cost`; there are spend, revenue",
            ),
            ("amount=spend,amount=revenue", "named twice"),
        ] {
            let said = find("spend|revenue", Some(told)).unwrap_err();
            assert!(said.contains(part), "{said}");
        }
    }
}
