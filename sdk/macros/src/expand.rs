//! From a function to one that asks for leave first.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, FnArg, Ident, ItemFn, Pat, ReturnType};

use crate::settings::Settings;

/// Returns the function with a body that authorises, then runs what it was.
pub(crate) fn tool(settings: &Settings, function: ItemFn) -> syn::Result<TokenStream> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(Error::new_spanned(signature.fn_token, "asking for leave waits; make the function `async`"));
    }
    if matches!(signature.output, ReturnType::Default) {
        return Err(Error::new_spanned(
            &signature.ident,
            "a tool may be refused; return `Result<_, E>` where `E: From<spanseal::Refused>`",
        ));
    }
    let arguments = arguments(settings, &function)?;
    let named = |idents: &[&Ident]| {
        let names = idents.iter().map(|ident| ident.to_string());
        let idents = idents.iter();
        quote! { &[#((#names, ::spanseal::__private::value(&#idents))),*] }
    };
    let digested = named(&arguments.digested);
    let revealed = named(&arguments.revealed);
    let kind = settings.kind.as_ref().map_or_else(|| quote!("execute_tool"), |kind| quote!(#kind));
    let name = settings.name.as_ref().map_or_else(
        || {
            let name = signature.ident.to_string();
            quote!(#name)
        },
        |name| quote!(#name),
    );
    let texts = settings.texts.iter().map(|(method, text)| quote!(.#method(::std::format!(#text))));
    let (attributes, visibility, body) = (&function.attrs, &function.vis, &function.block);
    let clearance = format_ident!("__spanseal_clearance");
    Ok(quote! {
        #(#attributes)*
        #visibility #signature {
            let #clearance = ::spanseal::__private::tool(::spanseal::action(#kind).tool(#name), #digested, #revealed)
                #(#texts)*
                .authorize()
                .await?;
            #clearance.run(async move #body).await
        }
    })
}

struct Arguments<'a> {
    digested: Vec<&'a Ident>,
    revealed: Vec<&'a Ident>,
}

fn arguments<'a>(settings: &Settings, function: &'a ItemFn) -> syn::Result<Arguments<'a>> {
    let mut named = Vec::new();
    for argument in &function.sig.inputs {
        let FnArg::Typed(typed) = argument else { continue };
        match &*typed.pat {
            Pat::Ident(pattern) => named.push(&pattern.ident),
            other => {
                return Err(Error::new_spanned(other, "give the argument a name; what is in it is digested by name"));
            }
        }
    }
    for given in settings.skip.iter().chain(&settings.reveal) {
        if !named.contains(&given) {
            return Err(Error::new(given.span(), format!("the function has no argument `{given}`")));
        }
    }
    if let Some(both) = settings.reveal.iter().find(|given| settings.skip.contains(given)) {
        return Err(Error::new(both.span(), format!("`{both}` is skipped; what is revealed is digested as well")));
    }
    Ok(Arguments {
        digested: named.iter().copied().filter(|name| !settings.skip.contains(name)).collect(),
        revealed: named.into_iter().filter(|name| settings.reveal.contains(name)).collect(),
    })
}
