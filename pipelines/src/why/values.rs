//! Attribute values as text.

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use crate::printed::grouped;

/// Returns a value as a person reads it: text as it is, structures as JSON, bytes by their number.
pub(super) fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BytesValue(bytes)) => format!("<{} bytes>", grouped(bytes.len() as u64)),
        value => json(value, 0).to_string(),
    }
}

fn json(value: Option<&Value>, depth: usize) -> serde_json::Value {
    let inner = |value: &AnyValue| json(value.value.as_ref(), depth + 1);
    match value {
        _ if depth > DEPTH_MAX => serde_json::Value::String("…".to_owned()),
        None => serde_json::Value::Null,
        Some(Value::StringValue(text)) => text.as_str().into(),
        Some(Value::BoolValue(value)) => (*value).into(),
        Some(Value::IntValue(number)) => (*number).into(),
        // JSON has no NaN.
        Some(Value::DoubleValue(number)) => {
            serde_json::Number::from_f64(*number).map_or_else(|| number.to_string().into(), serde_json::Value::Number)
        }
        Some(Value::BytesValue(bytes)) => format!("<{} bytes>", grouped(bytes.len() as u64)).into(),
        Some(Value::ArrayValue(array)) => array.values.iter().map(inner).collect(),
        Some(Value::KvlistValue(list)) => {
            let members = list
                .values
                .iter()
                .map(|member| (member.key.clone(), member.value.as_ref().map_or(serde_json::Value::Null, inner)));
            serde_json::Value::Object(members.collect())
        }
        Some(other) => format!("{other:?}").into(),
    }
}

const DEPTH_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValue, KeyValueList};

    use super::*;

    fn any(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn writes_values_for_people() {
        let list = KeyValueList {
            values: vec![KeyValue { key: "k".into(), value: Some(any(Value::IntValue(1))), ..KeyValue::default() }],
        };
        let array = ArrayValue { values: vec![any(Value::StringValue("a".into())), any(Value::KvlistValue(list))] };
        for (value, expected) in [
            (Value::StringValue("plain".into()), "plain"),
            (Value::BoolValue(true), "true"),
            (Value::DoubleValue(0.5), "0.5"),
            (Value::DoubleValue(f64::NAN), "\"NaN\""),
            (Value::BytesValue(vec![0; 1234]), "<1,234 bytes>"),
            (Value::ArrayValue(array), r#"["a",{"k":1}]"#),
        ] {
            assert_eq!(text(Some(&any(value))), expected);
        }
        assert_eq!(text(None), "null");
    }
}
