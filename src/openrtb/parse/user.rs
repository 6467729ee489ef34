//! Who would see it and under which rules: `user`, `regs`, `source`.

use super::lists::span;
use super::tape::Value;
use super::{Malformed, Parser};
use crate::openrtb::privacy;
use crate::openrtb::request::{DsaTerms, Eid, Regs, Schain, SchainNode, Segment, Source, Span, User};

impl<'a> Parser<'_, 'a> {
    /// `User`, section 3.2.20, with `consent` and `eids` also where 2.5 had them.
    pub fn user(&mut self, value: Value<'_, 'a>) -> User<'a> {
        let mut user = User::default();
        let (mut eids, mut ext) = (None, None);
        let mut keywords = [None; 2];
        for (key, value) in value.fields() {
            match key {
                "id" => user.id = self.text(value),
                "buyeruid" => user.buyer_uid = self.text(value),
                "eids" => eids = Some(value),
                "data" => user.segments = self.segments(value),
                "geo" => user.geo = self.geo(value),
                "consent" => user.consent = value.text(),
                "keywords" => keywords[0] = Some(value),
                "kwarray" => keywords[1] = Some(value),
                "ext" => ext = Some(value),
                _ => {}
            }
        }
        let ext = |name| ext.and_then(|ext: Value<'_, 'a>| ext.field(name));
        user.eids = self.eids(eids);
        if user.eids.is_empty() {
            user.eids = self.eids(ext("eids"));
        }
        user.consent = user.consent.or_else(|| ext("consent")?.text());
        let start = self.request.strs.len();
        for list in keywords.into_iter().flatten() {
            self.push_strs(list);
        }
        user.keywords = self.strs_since(start);
        user
    }

    /// `EID`, section 3.2.27, flattened to one entry per uid. An id without a source names nobody.
    fn eids(&mut self, list: Option<Value<'_, 'a>>) -> Span {
        let start = self.request.eids.len();
        for item in list.into_iter().flat_map(Value::items) {
            let Some(source) = item.field("source").and_then(Value::text) else {
                continue;
            };
            for uid in item.field("uids").into_iter().flat_map(Value::items) {
                let atype = uid.field("atype").and_then(Value::uint).unwrap_or(0);
                if let Some(id) = uid.field("id").and_then(|id| self.text(id)) {
                    self.request.eids.push(Eid { source, id, atype });
                }
            }
        }
        span(start, self.request.eids.len())
    }

    /// `Data` and `Segment`, sections 3.2.21 and 3.2.22.
    fn segments(&mut self, list: Value<'_, 'a>) -> Span {
        let start = self.request.segments.len();
        for data in list.items() {
            let (mut id, mut name, mut segments) = (None, None, None);
            for (key, value) in data.fields() {
                match key {
                    "id" => id = self.text(value),
                    "name" => name = value.text(),
                    "segment" => segments = Some(value),
                    _ => {}
                }
            }
            let provider = id.or(name).unwrap_or("");
            for item in segments.into_iter().flat_map(Value::items) {
                let segment = self.segment(provider, item);
                self.request.segments.extend(segment);
            }
        }
        span(start, self.request.segments.len())
    }

    fn segment(&mut self, provider: &'a str, item: Value<'_, 'a>) -> Option<Segment<'a>> {
        let (mut id, mut name, mut value) = (None, None, None);
        for (key, field) in item.fields() {
            match key {
                "id" => id = self.text(field),
                "name" => name = field.text(),
                "value" => value = self.text(field),
                _ => {}
            }
        }
        Some(Segment {
            provider,
            id: id.or(name)?,
            value,
        })
    }

    /// `Regs`, section 3.2.3. Where a signal stands in both its positions, the stricter one counts.
    pub fn regs(&mut self, value: Value<'_, 'a>) -> Result<Regs<'a>, Malformed> {
        let mut regs = Regs::default();
        let mut ext = None;
        for (key, value) in value.fields() {
            match key {
                "coppa" => regs.coppa = value.restriction().unwrap_or(false),
                "ext" => ext = Some(value),
                _ => self.regs_signal(key, value, &mut regs)?,
            }
        }
        for (key, value) in ext.into_iter().flat_map(Value::fields) {
            self.regs_signal(key, value, &mut regs)?;
        }
        Ok(regs)
    }

    fn regs_signal(&mut self, key: &str, value: Value<'_, 'a>, regs: &mut Regs<'a>) -> Result<(), Malformed> {
        if value.is_absent() {
            return Ok(());
        }
        match key {
            "gdpr" => regs.gdpr = Some(regs.gdpr == Some(true) || value.restriction() == Some(true)),
            "us_privacy" => {
                let text = value.text().unwrap_or("");
                if regs
                    .us_privacy
                    .is_none_or(|other| !privacy::opts_out_of_sale(other))
                {
                    regs.us_privacy = Some(text);
                }
            }
            "gpp" => regs.gpp = Some(value.text().unwrap_or("")),
            "gpc" => regs.gpc |= value.restriction().unwrap_or(false),
            "gpp_sid" => self.gpp_sections(value, regs)?,
            "dsa" => regs.dsa = dsa(value),
            _ => {}
        }
        Ok(())
    }

    fn gpp_sections(&mut self, value: Value<'_, 'a>, regs: &mut Regs<'a>) -> Result<(), Malformed> {
        let listed = value.items().next().is_some() || value.integer().is_some();
        let sections = self.ints(value, "regs.gpp_sid")?;
        let in_force = self.request.ints(sections).iter().any(|id| *id != 0);
        if in_force {
            (regs.gpp_sid, regs.gpp_not_applicable) = (sections, false);
        } else if regs.gpp_sid.0.is_empty() {
            regs.gpp_not_applicable = listed;
        }
        Ok(())
    }

    /// `Source`, section 3.2.2. The supply chain is read from its position in 2.6, 2.5 or 2.4, whichever comes first.
    pub fn source(&mut self, source: Option<Value<'_, 'a>>, ext: Option<Value<'_, 'a>>) -> Source<'a> {
        let tid = source.and_then(|source| source.field("tid")?.text());
        let chain = supply_chain(source)
            .or_else(|| supply_chain(source?.field("ext")))
            .or_else(|| supply_chain(ext));
        Source {
            tid,
            schain: chain.map(|chain| self.schain(chain)),
        }
    }

    /// `SupplyChain` and its nodes, sections 3.2.25 and 3.2.26.
    fn schain(&mut self, chain: Value<'_, 'a>) -> Schain {
        let start = self.request.schain_nodes.len();
        for node in chain.field("nodes").into_iter().flat_map(Value::items) {
            let asi = node.field("asi").and_then(Value::text).unwrap_or("");
            let sid = node.field("sid").and_then(|sid| self.text(sid)).unwrap_or("");
            let paid = node.field("hp").and_then(Value::integer).map(|hp| hp != 0);
            self.request.schain_nodes.push(SchainNode { asi, sid, paid });
        }
        let nodes = span(start, self.request.schain_nodes.len());
        Schain {
            complete: matches!(chain.field("complete").and_then(Value::integer), Some(1 | 2)),
            nodes,
        }
    }
}

/// DSA transparency extension, `regs.ext.dsa`. A value that cannot be read asks for what it can ask for.
fn dsa(value: Value<'_, '_>) -> DsaTerms {
    let number = |key, unreadable| {
        let given = value.field(key).filter(|field| !field.is_absent());
        given.map(|field| field.integer().unwrap_or(unreadable))
    };
    let required = number("dsarequired", 2).unwrap_or(0);
    DsaTerms {
        asked: required > 0,
        ad_must_show: required > 1 && number("pubrender", 1) == Some(0),
        parameters: number("datatopub", 1).unwrap_or(0) > 0,
    }
}

fn supply_chain<'t, 'a>(parent: Option<Value<'t, 'a>>) -> Option<Value<'t, 'a>> {
    parent?.field("schain").filter(|chain| chain.is_object())
}
