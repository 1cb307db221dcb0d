//! What was written: the arguments of `#[plain]`, the struct, and whether it can be plain.
//!
//! Whether a field's type is plain is for the compiler to say, by the trait. The types that people try first are refused
//! here already, by their names, since a sentence about `bool` beats four unsatisfied bounds.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Field, Fields, Ident, Item, ItemStruct, LitStr, Member, Path, PathArguments, Result, Token, Type,
    parse2,
};

/// A struct that is to become plain.
pub struct Plain {
    /// As written, without the attribute.
    pub item: ItemStruct,
    /// The name in the schema.
    pub name: String,
    /// The crate whose `__private` the written code names.
    pub krate: Path,
    /// In the order of declaration, which is that of their offsets.
    pub fields: Vec<PlainField>,
    /// Whether `#[repr(C)]` must be added.
    pub needs_repr: bool,
    /// `Clone` and `Copy`, without those that are derived already.
    pub needs_derive: Vec<Ident>,
}

/// A field of it.
pub struct PlainField {
    /// How code names it: an identifier or an index.
    pub member: Member,
    /// How the schema names it.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// Reads the attribute's arguments and the item below it.
pub fn plain(krate: &str, arguments: TokenStream, item: TokenStream) -> Result<Plain> {
    let arguments = Arguments::parse.parse2(arguments)?;
    let item = structure(item)?;
    let needs_repr = needs_repr(&item.attrs)?;
    let needs_derive = needs_derive(&item.attrs)?;
    let fields = fields(&item.fields)?;
    let krate = match arguments.krate {
        Some(path) => path,
        None => syn::parse_str(&format!("::{krate}"))?,
    };
    let name = arguments.name.unwrap_or_else(|| item.ident.unraw().to_string());
    Ok(Plain { item, name, krate, fields, needs_repr, needs_derive })
}

#[derive(Default)]
struct Arguments {
    name: Option<String>,
    krate: Option<Path>,
}

impl Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            let value = input.parse::<LitStr>()?;
            if key == "name" && arguments.name.is_none() {
                arguments.name = Some(given_name(&value)?);
            } else if key == "crate" && arguments.krate.is_none() {
                arguments.krate = Some(crate_path(&value)?);
            } else {
                let words = "#[plain] takes `name = \"…\"` and `crate = \"…\"`, each at most once";
                return Err(Error::new(key.span(), words));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

/// The characters that a schema can hold without becoming ambiguous.
fn given_name(value: &LitStr) -> Result<String> {
    let name = value.value();
    let letters = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if (1..=100).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(letters)
    {
        return Ok(name);
    }
    Err(Error::new(value.span(), "a plain name is 1 to 100 bytes of [A-Za-z0-9._/-], the first a letter"))
}

/// A path from the root, unless it begins with `crate`, `self` or `super`.
fn crate_path(value: &LitStr) -> Result<Path> {
    let mut path = value.parse_with(Path::parse_mod_style)?;
    let relative = ["crate", "self", "super"].iter().any(|word| path.segments[0].ident == word);
    if !relative {
        path.leading_colon.get_or_insert_with(|| Token![::](value.span()));
    }
    Ok(path)
}

fn structure(item: TokenStream) -> Result<ItemStruct> {
    let item = match parse2::<Item>(item)? {
        Item::Struct(item) => item,
        Item::Enum(item) => {
            let words = "an enum is not plain: most bytes are none of its variants; \
                         store a u8 or u32 and convert it with TryFrom";
            return Err(Error::new(item.enum_token.span, words));
        }
        Item::Union(item) => {
            let words = "a union is not plain: its layout does not say which field is meant; use a struct";
            return Err(Error::new(item.union_token.span, words));
        }
        other => return Err(Error::new(other.span(), "#[plain] goes on a struct")),
    };
    match item.generics.params.first() {
        Some(parameter) => {
            let words = "a plain struct has one layout and no references: it takes no generic parameters; \
                         write a struct for each type";
            Err(Error::new(parameter.span(), words))
        }
        None => Ok(item),
    }
}

/// Whether `#[repr(C)]` is missing; an error if there is a representation that cannot go with it.
fn needs_repr(attributes: &[Attribute]) -> Result<bool> {
    let mut missing = true;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("C") {
                missing = false;
            } else if meta.path.is_ident("align") {
                let inside;
                syn::parenthesized!(inside in meta.input);
                inside.parse::<TokenStream>()?;
            } else {
                let words =
                    "a plain struct is laid out by #[repr(C)], with align(N) if need be; no other repr goes with it";
                return Err(meta.error(words));
            }
            Ok(())
        })?;
    }
    Ok(missing)
}

/// `Clone` and `Copy` as far as no `#[derive(..)]` below the attribute names them.
fn needs_derive(attributes: &[Attribute]) -> Result<Vec<Ident>> {
    let mut missing = vec![Ident::new("Clone", Span::call_site()), Ident::new("Copy", Span::call_site())];
    for attribute in attributes.iter().filter(|a| a.path().is_ident("derive")) {
        attribute.parse_nested_meta(|meta| {
            missing.retain(|name| meta.path.segments.last().is_none_or(|last| last.ident != *name));
            Ok(())
        })?;
    }
    Ok(missing)
}

fn fields(fields: &Fields) -> Result<Vec<PlainField>> {
    let mut errors: Option<Error> = None;
    let mut plain = Vec::new();
    for (field, member) in fields.iter().zip(fields.members()) {
        if let Err(error) = check(field) {
            match &mut errors {
                Some(errors) => errors.combine(error),
                None => errors = Some(error),
            }
        }
        let name = match &member {
            Member::Named(name) => name.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        };
        plain.push(PlainField { member, name, ty: field.ty.clone() });
    }
    errors.map_or(Ok(plain), Err)
}

fn check(field: &Field) -> Result<()> {
    if let Some(cfg) = field.attrs.iter().find(|a| a.path().is_ident("cfg") || a.path().is_ident("cfg_attr")) {
        let words = "a plain struct has one layout: put the cfg on the whole struct and write two";
        return Err(Error::new(cfg.span(), words));
    }
    match why_not_plain(&field.ty) {
        Some(words) => Err(Error::new(field.ty.span(), words)),
        None => Ok(()),
    }
}

/// Why a type that people try first is not plain, and what to store instead.
fn why_not_plain(ty: &Type) -> Option<&'static str> {
    const ADDRESS: &str = "an address means nothing in another process: store the value itself, an index or an offset";
    const HEAP: &str = "its bytes lie on the heap of one process: store an array such as [u8; 32], \
                        or send it through `MessageQueue` of ipc-queue, which takes every serde type";
    match ty {
        Type::Reference(_) | Type::Ptr(_) | Type::BareFn(_) => Some(ADDRESS),
        Type::Tuple(tuple) if !tuple.elems.is_empty() => {
            Some("the layout of a tuple is not specified: write a #[plain] struct")
        }
        Type::Array(array) => why_not_plain(&array.elem),
        Type::Paren(inner) => why_not_plain(&inner.elem),
        Type::Group(inner) => why_not_plain(&inner.elem),
        Type::Path(path) if path.qself.is_none() => {
            let last = path.path.segments.last()?;
            let generic = matches!(last.arguments, PathArguments::AngleBracketed(_));
            match last.ident.to_string().as_str() {
                "bool" => Some("only two of 256 bytes are a bool, and another process may write any: store a u8"),
                "char" => Some("most u32 are no char: store a u32 and convert it with char::from_u32"),
                "usize" => Some("the size of usize differs between programs: store a u64"),
                "isize" => Some("the size of isize differs between programs: store an i64"),
                "Option" if generic => Some("most tags are neither None nor Some: store the value and a u8 beside it"),
                "String" => Some(HEAP),
                "Vec" | "Box" | "Rc" | "Arc" | "HashMap" | "BTreeMap" if generic => Some(HEAP),
                _ => None,
            }
        }
        _ => None,
    }
}
