//! XML bodies as JSON, so that expressions reach into them.
//!
//! ```text
//!   <order id="7">              {"order": {"@id": "7",
//!     <line>nail</line>                    "line": ["nail", {"@n": "2", "#text": "screw"}],
//!     <line n="2">screw</line>             "paid": null}}
//!     <paid/>
//!   </order>
//! ```
//! An attribute is `@name`. An element's text is `#text`, or the element itself where it has neither attributes nor
//! children; without white space around it. Elements of the same name are a list, in their order. An empty element is
//! null. Prefixes of namespaces stay as they are written. Comments, processing instructions and document types are left
//! out; no entity that a document defines is expanded, so none can grow or read a file.

use camshaft_model::{Map, Value};
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::form;

/// An element that is open.
struct Open {
    name: String,
    fields: Map<String, Value>,
    text: String,
}

impl Open {
    fn close(mut self) -> (String, Value) {
        let text = self.text.trim();
        let value = match (self.fields.is_empty(), text.is_empty()) {
            (true, true) => Value::Null,
            (true, false) => Value::String(text.to_owned()),
            (false, true) => Value::Object(self.fields),
            (false, false) => {
                self.fields.insert("#text".to_owned(), Value::String(text.to_owned()));
                Value::Object(self.fields)
            }
        };
        (self.name, value)
    }
}

/// The document as an object of its root element. Errors with what is wrong, line and column.
pub(crate) fn parse(text: &str, depth_max: usize) -> Result<Value, String> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    loop {
        let at = |what: String, position: u64| Err(format!("{what} at {}", place(text, position)));
        let position = reader.buffer_position();
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => return at(error.to_string(), reader.error_position()),
        };
        let closed = match event {
            Event::Start(start) => {
                if open.len() + 1 >= depth_max {
                    return at(format!("elements are nested deeper than {depth_max}"), position);
                }
                match begin(&start) {
                    Ok(element) => open.push(element),
                    Err(what) => return at(what, position),
                }
                None
            }
            Event::Empty(start) => match begin(&start) {
                Ok(element) => Some(element),
                Err(what) => return at(what, position),
            },
            // The reader has checked that it is the end of the element that is open.
            Event::End(_) => open.pop(),
            Event::Text(content) => {
                let content = content.xml10_content();
                match open.last_mut() {
                    Some(element) => element.text.push_str(&content),
                    None if content.trim().is_empty() => {}
                    None => return at("text outside of the root element".to_owned(), position),
                }
                None
            }
            Event::CData(content) => {
                match open.last_mut() {
                    Some(element) => element.text.push_str(&content.xml10_content()),
                    None => return at("text outside of the root element".to_owned(), position),
                }
                None
            }
            Event::GeneralRef(reference) => {
                let Some(element) = open.last_mut() else {
                    return at("text outside of the root element".to_owned(), position);
                };
                match (reference.resolve_char_ref(), resolve_xml_entity(&reference)) {
                    (Ok(Some(character)), _) => element.text.push(character),
                    (Ok(None), Some(known)) => element.text.push_str(known),
                    _ => return at(format!("`&{};` is unknown", &*reference), position),
                }
                None
            }
            Event::Eof if !open.is_empty() => {
                let name = open.pop().map(|element| element.name).unwrap_or_default();
                return at(format!("element `{name}` has no end"), text.len() as u64);
            }
            Event::Eof => return root.ok_or_else(|| "there is no root element".to_owned()),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => None,
        };
        if let Some(element) = closed {
            let (name, value) = element.close();
            match open.last_mut() {
                Some(parent) => form::put(&mut parent.fields, name, value),
                None if root.is_some() => return at(format!("a second root element `{name}`"), position),
                None => root = Some(Value::Object(Map::from_iter([(name, value)]))),
            }
        }
    }
}

fn begin(start: &BytesStart<'_>) -> Result<Open, String> {
    let mut fields = Map::new();
    // The reader's own check of repeated attributes takes time that grows with the square of their number.
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let name = format!("@{}", attribute.key.as_ref());
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        if fields.contains_key(&name) {
            return Err(format!("attribute `{}` stands twice", &name[1..]));
        }
        fields.insert(name, Value::String(value.into_owned()));
    }
    Ok(Open { name: start.name().as_ref().to_owned(), fields, text: String::new() })
}

/// `line 3 column 7`, from 1.
fn place(text: &str, position: u64) -> String {
    let end = usize::try_from(position).unwrap_or(usize::MAX).min(text.len());
    let before = &text.as_bytes()[..end];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    format!("line {line} column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::json;

    fn read(text: &str) -> Value {
        parse(text, 100).unwrap()
    }

    #[test]
    fn attributes_text_and_repeated_elements_have_their_places() {
        let text = "<?xml version=\"1.0\"?>\n<!DOCTYPE order>\n<!-- one -->\n<order id=\"7\">\n  <line>nail</line>\n  \
                    <line n=\"2\">screw</line>\n  <paid/>\n</order>\n";
        let want = json!({"order": {"@id": "7", "line": ["nail", {"@n": "2", "#text": "screw"}], "paid": null}});
        assert_eq!(read(text), want);
        assert_eq!(read("<a>1<b/>2<b>3</b></a>"), json!({"a": {"b": [null, "3"], "#text": "12"}}));
        assert_eq!(read("<a></a>"), json!({"a": null}));
        assert_eq!(read("<a b=''/>"), json!({"a": {"@b": ""}}));
        assert_eq!(
            read("<s:Envelope xmlns:s='urn:x'><s:Body/></s:Envelope>"),
            json!({
                "s:Envelope": {"@xmlns:s": "urn:x", "s:Body": null}
            })
        );
    }

    #[test]
    fn references_and_sections_are_text() {
        assert_eq!(read("<a>&lt;b&gt; &amp;&#65;&#x42;<![CDATA[<c> & ]]>d</a>"), json!({"a": "<b> &AB<c> & d"}));
        assert_eq!(read("<a b=\"&quot;&#10;x\"/>"), json!({"a": {"@b": "\"\nx"}}));
        assert_eq!(read("<a>1\r\n2</a>"), json!({"a": "1\n2"}));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, says) in [
            ("<a>\n  <b></a>", "line 2 column 6"),
            ("<a>", "element `a` has no end at line 1 column 4"),
            ("<a/>\n<b/>", "a second root element `b` at line 2 column 1"),
            ("x<a/>", "text outside of the root element at line 1 column 1"),
            ("<a/>&amp;", "text outside of the root element"),
            ("<a>\n&bomb;</a>", "`&bomb;` is unknown at line 2 column 1"),
            ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "`&x;` is unknown"),
            ("<a b='1' b='2'/>", "attribute `b` stands twice at line 1 column 1"),
            ("<a b='&bomb;'/>", "line 1 column 1"),
            ("<a b=1/>", "line 1 column 1"),
            ("<a>&#0;</a>", "`&#0;`"),
            ("", "there is no root element"),
            ("<!-- only -->", "there is no root element"),
            ("<a", "line 1"),
        ] {
            let error = parse(text, 100).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
