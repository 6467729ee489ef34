//! A strict little reader of XML, enough to judge the VAST documents of the tests: anything not well-formed is an error.

pub struct Document(Vec<Element>);

pub struct Element {
    /// Names from the root, joined by `/`.
    path: String,
    attributes: Vec<(String, String)>,
    /// Text and CDATA directly inside.
    pub text: String,
}

impl Document {
    pub fn all<'d>(&'d self, path: &str) -> impl Iterator<Item = &'d Element> {
        self.0.iter().filter(move |element| element.path == path)
    }

    /// The names of the elements directly under `path`, in order.
    pub fn children<'d>(&'d self, path: &str) -> Vec<&'d str> {
        let names = self.0.iter().filter_map(|element| element.path.rsplit_once('/'));
        names
            .filter(|(parent, _)| *parent == path)
            .map(|(_, name)| name)
            .collect()
    }

    /// The text of the only element there.
    pub fn text(&self, path: &str) -> Option<&str> {
        let mut found = self.all(path);
        let only = found.next()?;
        assert!(found.next().is_none(), "more than one {path}");
        Some(&only.text)
    }
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// XML 1.0 section 2.2, without tab and line ends.
pub fn is_allowed(c: char) -> bool {
    !matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}')
}

pub fn parse(document: &str) -> Result<Document, String> {
    let mut rest = document
        .strip_prefix(r#"<?xml version="1.0" encoding="UTF-8"?>"#)
        .ok_or("no declaration")?;
    if let Some(bad) = document.chars().find(|&c| !is_allowed(c)) {
        return Err(format!("the character {bad:?}"));
    }
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while !rest.is_empty() {
        if !elements.is_empty() && open.is_empty() {
            return Err(format!("something behind the root: {rest}"));
        }
        if let Some(cdata) = rest.strip_prefix("<![CDATA[") {
            let (text, after) = cdata.split_once("]]>").ok_or("a CDATA section without an end")?;
            let inside = *open.last().ok_or("text outside of the root")?;
            elements[inside].text.push_str(text);
            rest = after;
        } else if let Some(tag) = rest.strip_prefix("</") {
            let (name, after) = tag.split_once('>').ok_or("an end tag without an end")?;
            let closed = open.pop().ok_or("an end tag too many")?;
            if elements[closed].path.rsplit('/').next() != Some(name) {
                return Err(format!("</{name}> closes {}", elements[closed].path));
            }
            rest = after;
        } else if let Some(tag) = rest.strip_prefix('<') {
            let (tag, after) = tag.split_once('>').ok_or("a tag without an end")?;
            let parent = open.last().map(|&i| elements[i].path.as_str());
            elements.push(start_tag(tag, parent)?);
            open.push(elements.len() - 1);
            rest = after;
        } else {
            let (text, after) = rest.split_at(rest.find('<').ok_or("text behind the root")?);
            let inside = *open.last().ok_or("text outside of the root")?;
            elements[inside].text.push_str(&unescape(text)?);
            rest = after;
        }
    }
    if open.is_empty() {
        Ok(Document(elements))
    } else {
        Err("an element without an end".to_owned())
    }
}

fn start_tag(tag: &str, parent: Option<&str>) -> Result<Element, String> {
    let (name, mut rest) = tag.split_at(tag.find(' ').unwrap_or(tag.len()));
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(format!("the name {name:?}"));
    }
    let mut attributes: Vec<(String, String)> = Vec::new();
    while let Some(attribute) = rest.strip_prefix(' ') {
        let (name, after) = attribute
            .split_once("=\"")
            .ok_or("an attribute without a value")?;
        let (value, after) = after.split_once('"').ok_or("a value without an end")?;
        if attributes.iter().any(|(known, _)| known == name) || value.contains('<') {
            return Err(format!("the attribute {attribute:?}"));
        }
        attributes.push((name.to_owned(), unescape(value)?));
        rest = after;
    }
    if !rest.is_empty() {
        return Err(format!("{rest:?} in a tag"));
    }
    let path = parent.map_or(name.to_owned(), |parent| format!("{parent}/{name}"));
    Ok(Element {
        path,
        attributes,
        text: String::new(),
    })
}

fn unescape(text: &str) -> Result<String, String> {
    if text.contains("]]>") {
        return Err("]]> in text".to_owned());
    }
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, after) = part.split_once(';').ok_or("an entity without an end")?;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => return Err(format!("the entity {other:?}")),
        });
        out.push_str(after);
    }
    Ok(out)
}
