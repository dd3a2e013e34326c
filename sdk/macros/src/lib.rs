//! The attribute macro of the `spanseal` SDK; its documentation is there.

mod expand;
mod settings;

use proc_macro::TokenStream;

/// Makes an async function a governed tool: each call asks for leave, and runs only with it. See `spanseal::tool`.
#[proc_macro_attribute]
pub fn tool(settings: TokenStream, function: TokenStream) -> TokenStream {
    let function = syn::parse_macro_input!(function as syn::ItemFn);
    let settings = syn::parse_macro_input!(settings as settings::Settings);
    expand::tool(&settings, function).unwrap_or_else(syn::Error::into_compile_error).into()
}
