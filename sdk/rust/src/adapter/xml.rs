//! XML bodies as a tree. Prefixes of namespaces are left out; no entity that a document defines is expanded, so none can grow.

use super::Rejection;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Elements inside of one another.
const DEPTH_MAX: usize = 64;

/// An element with what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// The elements in it.
    pub children: Vec<Element>,
    /// Its own text, without white space around it.
    pub text: String,
}

impl Element {
    /// The first element in it with this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element in it with this name; none where it is not there or empty.
    pub fn text_of(&self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.text.clone()).filter(|text| !text.is_empty())
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn open(start: &BytesStart<'_>) -> Result<Self, Rejection> {
        let mut element = Self { name: local(start.name().as_ref()).to_owned(), ..Self::default() };
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(broken)?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(broken)?;
            element.attributes.push((local(attribute.key.as_ref()).to_owned(), value.into_owned()));
        }
        Ok(element)
    }
}

/// The root element of a document.
pub(super) fn parse(text: &str) -> Result<Element, Rejection> {
    let mut reader = Reader::from_str(text);
    // The first stands for the document itself.
    let mut open = vec![Element::default()];
    loop {
        let element = match reader.read_event().map_err(broken)? {
            Event::Start(_) if open.len() > DEPTH_MAX => {
                return Err(broken(format!("elements are nested deeper than {DEPTH_MAX}")));
            }
            Event::Start(start) => {
                open.push(Element::open(&start)?);
                continue;
            }
            Event::Empty(start) => Element::open(&start)?,
            Event::End(_) => open.pop().expect("the reader has seen its beginning"),
            Event::Text(content) => {
                innermost(&mut open).text.push_str(&content.xml10_content());
                continue;
            }
            Event::CData(content) => {
                innermost(&mut open).text.push_str(&content.xml10_content());
                continue;
            }
            Event::GeneralRef(reference) => {
                match (reference.resolve_char_ref(), resolve_xml_entity(&reference)) {
                    (Ok(Some(character)), _) => innermost(&mut open).text.push(character),
                    (Ok(None), Some(known)) => innermost(&mut open).text.push_str(known),
                    _ => return Err(broken(format!("`&{};` is unknown", &*reference))),
                }
                continue;
            }
            Event::Eof => break,
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => continue,
        };
        innermost(&mut open).children.push(Element { text: element.text.trim().to_owned(), ..element });
    }
    let document = innermost(&mut open);
    if document.children.len() != 1 || !document.text.trim().is_empty() || !document.name.is_empty() {
        return Err(broken("it is not one element"));
    }
    Ok(document.children.remove(0))
}

fn innermost(open: &mut [Element]) -> &mut Element {
    open.last_mut().expect("the document itself is never closed")
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn broken(why: impl std::fmt::Display) -> Rejection {
    Rejection::Malformed(format!("the body is not the XML that was expected: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_tree_without_prefixes() {
        let root =
            parse("<?xml version='1.0'?>\n<s:a x:k='1&amp;2'> <b>p&lt;<![CDATA[<q]]>&#65;</b><b/></s:a>").unwrap();
        assert_eq!((root.name.as_str(), root.attribute("k")), ("a", Some("1&2")));
        assert_eq!(root.text_of("b").as_deref(), Some("p<<qA"));
        assert_eq!((root.children.len(), root.text_of("c")), (2, None));
    }

    #[test]
    fn what_is_no_document_is_malformed_and_entities_of_its_own_are_unknown() {
        let nested = |depth: usize| ["<a>".repeat(depth), "</a>".repeat(depth)].concat();
        assert!(parse(&nested(64)).is_ok());
        let deep = nested(65);
        for bad in ["", "x", "<a>", "<a></b>", "<a/><b/>", "<a/>x", "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", &deep] {
            assert!(matches!(parse(bad), Err(Rejection::Malformed(_))), "{bad}");
        }
    }
}
