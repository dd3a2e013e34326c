//! What stands in the brackets of the attribute.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Token, parenthesized};

/// `kind = "...", name = "...", target = "...", skip(a, b), reveal(c)` and the business context.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) kind: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    /// Methods of the action and the format strings that they get.
    pub(crate) texts: Vec<(Ident, LitStr)>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) reveal: Vec<Ident>,
}

impl Parse for Settings {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut settings = Self::default();
        while !input.is_empty() {
            settings.one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(settings)
    }
}

impl Settings {
    fn one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let setting: Ident = input.parse()?;
        match setting.to_string().as_str() {
            "skip" => self.skip.extend(idents(input)?),
            "reveal" => self.reveal.extend(idents(input)?),
            "kind" => put(&mut self.kind, &setting, text(input)?)?,
            "name" => put(&mut self.name, &setting, text(input)?)?,
            known if TEXTS.contains(&known) => {
                if self.texts.iter().any(|(given, _)| *given == setting) {
                    return Err(twice(&setting));
                }
                self.texts.push((setting, text(input)?));
            }
            _ => {
                let known = format!("kind, name, {}, skip(...) and reveal(...)", TEXTS.join(", "));
                return Err(Error::new(setting.span(), format!("unknown setting; known are {known}")));
            }
        }
        Ok(())
    }
}

fn idents(input: ParseStream<'_>) -> syn::Result<Punctuated<Ident, Token![,]>> {
    let inside;
    parenthesized!(inside in input);
    inside.parse_terminated(Ident::parse, Token![,])
}

fn text(input: ParseStream<'_>) -> syn::Result<LitStr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn put(place: &mut Option<LitStr>, setting: &Ident, value: LitStr) -> syn::Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(setting)),
    }
}

fn twice(setting: &Ident) -> Error {
    Error::new(setting.span(), format!("`{setting}` stands twice"))
}

/// Format strings over the function's arguments, given to the action's method of the same name.
const TEXTS: [&str; 7] = ["target", "because", "ticket", "change", "incident", "playbook", "task"];
