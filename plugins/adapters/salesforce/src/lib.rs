//! The adapter `salesforce`: Salesforce's outbound messages, which are SOAP. A delivery is a batch: an event for each record.
//!
//! Source: <https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging.htm>.

mod message;

use camshaft_sdk::adapter::{Element, NoConfig};
use camshaft_sdk::prelude::*;

/// The organisation, by which a message is known. It is no secret to everybody who works there: add a token where that matters.
const ORGANIZATION: &str = "organization_id";
const TOKEN: &str = "header_value";
/// Ids are written with 15 characters, or with 3 more that only check the others.
const ID_CHARS: usize = 15;
const ACKNOWLEDGED: &str = r#"<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>"#;
const EVENTS: &[(&str, &str, &str)] =
    &[("Account", "a record met the conditions of a flow or a workflow rule", include_str!("../samples/account.json"))];

/// Salesforce's outbound messages.
pub struct Salesforce;

#[adapter]
impl Adapter for Salesforce {
    fn describe() -> Description {
        Description::new("Salesforce", "Takes outbound messages, an event for each record, and acknowledges them.")
            .docs("https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging.htm")
            .secret(Secret::required(ORGANIZATION, "The organisation's id: Setup, Company Information."))
            .secret(Secret::optional(TOKEN, "A token that you make up and append to the endpoint's URL: `?token=…`."))
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        let organizations = integration.required_secret(ORGANIZATION)?;
        let tokens = integration.secret(TOKEN);
        if !tokens.is_empty() {
            verify::token(&verify::parameter(request, "token")?, &tokens)?;
        }
        let envelope = request.xml()?;
        let message = envelope.child("Body").and_then(|body| body.child("notifications"));
        let message = message.ok_or_else(|| Rejection::Malformed("the body is no outbound message".to_owned()))?;
        let organization = message.text_of("OrganizationId").unwrap_or_default();
        let short = |id: &str| id.get(..ID_CHARS).unwrap_or(id).to_owned();
        let accepted: Vec<_> = organizations.iter().map(|id| short(id)).collect();
        verify::token(&short(&organization), &accepted.iter().map(String::as_str).collect::<Vec<_>>())?;

        let source = message.text_of("EnterpriseUrl").and_then(|url| Some(url.split("/services/").next()?.to_owned()));
        let notifications = message.children.iter().filter(|child| child.name == "Notification");
        let events = notifications.map(|notification| event(notification, source.clone())).collect::<Result<_, _>>()?;
        let headers = vec![("content-type".to_owned(), "text/xml; charset=utf-8".to_owned())];
        Ok(Receipt { events, respond: Some(Response { status: 200, headers, body: ACKNOWLEDGED.into() }) })
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let organization = integration.first_secret(ORGANIZATION)?;
        let message = message::of_record(&sample, organization);
        let delivery = message.delivery(&[("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", "\"\"")]);
        Ok(match integration.secret(TOKEN).first() {
            Some(token) => delivery.with_parameter("token", token),
            None => delivery,
        })
    }
}

/// The record's fields are the body. The message around them holds the id of a session, which is a credential.
fn event(notification: &Element, source: Option<String>) -> Result<Event, Rejection> {
    let missing = || Rejection::Malformed("a notification has no `sObject` with a type".to_owned());
    let record = notification.child("sObject").ok_or_else(missing)?;
    let kind = record.attribute("type").ok_or_else(missing)?;
    let kind = kind.rsplit_once(':').map_or(kind, |(_, name)| name);
    let value =
        |field: &Element| (field.name.clone(), if field.text.is_empty() { Value::Null } else { json!(field.text) });
    let body = Some(Value::Object(record.children.iter().map(value).collect()));
    Ok(Event { id: notification.text_of("Id"), source, subject: record.text_of("Id"), body, ..Event::new(kind) })
}

#[cfg(test)]
mod tests;
