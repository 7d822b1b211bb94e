//! An outbound message around a record, as Salesforce would send it.

use camshaft_sdk::prelude::*;
use std::collections::BTreeMap;

/// The sample is a record's fields; what is none is sent as it is.
pub(crate) fn of_record(sample: &Sample, organization: &str) -> Sample {
    let Some(fields) = sample.json::<BTreeMap<String, Option<String>>>() else { return sample.clone() };
    let mut record = String::new();
    for (name, value) in &fields {
        let value = escaped(value.as_deref().unwrap_or_default());
        record.push_str(&["<sf:", name, ">", &value, "</sf:", name, ">"].concat());
    }
    let (organization, kind) = (escaped(organization), escaped(&sample.kind));
    let body = [
        r#"<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>"#,
        &organization,
        "</OrganizationId><Notification><Id>",
        &sample.id,
        r#"</Id><sObject xsi:type="sf:"#,
        &kind,
        r#"" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">"#,
        &record,
        "</sObject></Notification></notifications></soapenv:Body></soapenv:Envelope>",
    ];
    Sample { body: body.concat().into_bytes(), ..sample.clone() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
