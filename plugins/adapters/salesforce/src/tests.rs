//! Outbound messages, whole and broken.

use super::*;
use camshaft_sdk::testing::{self, Vendor};

fn message(organization: &str, notifications: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{organization}</OrganizationId><ActionId>04k</ActionId><SessionId>s3ss10n</SessionId><EnterpriseUrl>https://na1.salesforce.com/services/Soap/c/7.0/00Dx</EnterpriseUrl>{notifications}</notifications></soapenv:Body></soapenv:Envelope>"#
    )
}

fn notification(id: &str, kind: &str) -> String {
    format!(
        r#"<Notification><Id>{id}</Id><sObject xsi:type="sf:{kind}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>001D</sf:Id><sf:Name>Acme &amp; Sons</sf:Name><sf:Site></sf:Site></sObject></Notification>"#
    )
}

fn receive(body: String, query: &str, secrets: &[(&str, &[&str])]) -> Result<Receipt, Rejection> {
    let request = Request { query: query.to_owned(), ..testing::delivery(&[], body, 0) };
    testing::receive::<Salesforce>(&request, json!({}), secrets)
}

const ORG: (&str, &[&str]) = ("organization_id", &["00Dx0000000AbCd"]);

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Salesforce>("cases");
}

#[test]
fn every_attack_is_withstood() {
    let vendor = Vendor::new::<Salesforce>().token("organization_id");
    vendor.keys("00Dx0000000AbCdEAK", "00Dx0000000EfGhEAK").withstands();
}

#[test]
fn each_notification_is_an_event_and_the_message_is_acknowledged() {
    let both = [notification("04l1", "Account"), notification("04l2", "Lead")].concat();
    let receipt = receive(message("00Dx0000000AbCdEAK", &both), "", &[ORG]).unwrap();
    let expected = Event {
        id: Some("04l2".into()),
        source: Some("https://na1.salesforce.com".into()),
        subject: Some("001D".into()),
        body: Some(json!({ "Id": "001D", "Name": "Acme & Sons", "Site": null })),
        ..Event::new("Lead")
    };
    assert_eq!(receipt.events[1], expected);
    let answer = receipt.respond.unwrap();
    assert!(String::from_utf8(answer.body).unwrap().contains("<Ack>true</Ack>"));
}

#[test]
fn a_token_has_to_be_the_right_one_where_there_is_one() {
    let body = || message("00Dx0000000AbCd", &notification("04l1", "Account"));
    let secrets: &[(&str, &[&str])] = &[ORG, ("header_value", &["t"])];
    assert!(receive(body(), "token=t", secrets).is_ok());
    for query in ["", "token=x"] {
        assert!(matches!(receive(body(), query, secrets), Err(Rejection::Unauthorized(_))), "{query}");
    }
    for query in ["token=t&token=t", "token=t&token=x", "token=x&token=t", "token=%FF"] {
        assert!(matches!(receive(body(), query, secrets), Err(Rejection::Malformed(_))), "{query}");
    }
}

#[test]
fn what_is_no_outbound_message_is_malformed() {
    for bad in ["", "{}", "<a/>", "<Envelope><Body/></Envelope>"] {
        assert!(matches!(receive(bad.to_owned(), "", &[ORG]), Err(Rejection::Malformed(_))), "{bad}");
    }
    let no_record = message("00Dx0000000AbCd", "<Notification><Id>1</Id></Notification>");
    assert!(matches!(receive(no_record, "", &[ORG]), Err(Rejection::Malformed(_))));
}
