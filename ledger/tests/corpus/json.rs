//! JSON with fields in the order written: the files must not depend on the features that a workspace gives serde_json.

/// A JSON value.
pub enum Json {
    Null,
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// Writes the value, one list element or field a line.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out.push('\n');
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Number(number) => out.push_str(&number.to_string()),
            Json::Text(text) => out.push_str(&serde_json::to_string(text).expect("a string")),
            Json::List(list) => lines(out, depth, ('[', ']'), list, |out, value| value.write(out, depth + 1)),
            Json::Object(fields) => lines(out, depth, ('{', '}'), fields, |out, (name, value)| {
                out.push_str(&format!("\"{name}\": "));
                value.write(out, depth + 1);
            }),
        }
    }
}

fn lines<T>(out: &mut String, depth: usize, (open, close): (char, char), all: &[T], write: impl Fn(&mut String, &T)) {
    out.push(open);
    for (place, one) in all.iter().enumerate() {
        out.push_str(if place == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        write(out, one);
    }
    if !all.is_empty() {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(close);
}

impl From<u64> for Json {
    fn from(number: u64) -> Json {
        Json::Number(number)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_string())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::Text(text)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Null, Into::into)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(list: Vec<T>) -> Json {
        Json::List(list.into_iter().map(Into::into).collect())
    }
}
