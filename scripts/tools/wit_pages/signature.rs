//! Types and signatures as HTML code, because Markdown has no links within code.

use crate::names::Names;
use wit_parser::{Function, FunctionKind, Handle, Type, TypeDefKind, TypeId};

/// Returns a function's name and type, with links on its types.
pub(crate) fn signature(names: &Names<'_>, function: &Function) -> String {
    let is_method = matches!(function.kind, FunctionKind::Method(_) | FunctionKind::AsyncMethod(_));
    let parameters: Vec<String> = function
        .params
        .iter()
        .skip(usize::from(is_method))
        .map(|parameter| format!("{}: {}", parameter.name, type_name(names, &parameter.ty)))
        .collect();
    let parameters = parameters.join(", ");
    let name = function.item_name();
    let result = match function.result.as_ref() {
        Some(result) => format!(" -&gt; {}", type_name(names, result)),
        None => String::new(),
    };
    let text = match function.kind {
        // A constructor returns its resource.
        FunctionKind::Constructor(_) => format!("<b>constructor</b>({parameters})"),
        FunctionKind::Static(_) | FunctionKind::AsyncStatic(_) => {
            format!("<b>{name}</b>: static func({parameters}){result}")
        }
        _ => format!("<b>{name}</b>: func({parameters}){result}"),
    };
    format!("<code>{text}</code>")
}

/// Returns the name of a type, with a link if the package defines it.
pub(crate) fn type_name(names: &Names<'_>, ty: &Type) -> String {
    let text = match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(id) => return name_of_id(names, *id),
    };
    text.to_owned()
}

fn name_of_id(names: &Names<'_>, id: TypeId) -> String {
    match names.link(id) {
        Some((name, link)) => format!("<a href=\"{link}\">{name}</a>"),
        None => structure(names, &names.resolve.types[id].kind),
    }
}

/// Returns what a type is made of, for types without a name and for aliases.
pub(crate) fn structure(names: &Names<'_>, kind: &TypeDefKind) -> String {
    let of = |name: &str, types: &[Option<&Type>]| {
        let types = types.iter().map(|ty| ty.map_or("_".to_owned(), |ty| type_name(names, ty)));
        format!("{name}&lt;{}&gt;", types.collect::<Vec<_>>().join(", "))
    };
    match kind {
        TypeDefKind::List(ty) => of("list", &[Some(ty)]),
        TypeDefKind::Option(ty) => of("option", &[Some(ty)]),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (ok, None) => of("result", &[ok.as_ref()]),
            (ok, err) => of("result", &[ok.as_ref(), err.as_ref()]),
        },
        TypeDefKind::Tuple(tuple) => of("tuple", &tuple.types.iter().map(Some).collect::<Vec<_>>()),
        TypeDefKind::Handle(Handle::Borrow(id)) => {
            format!("borrow&lt;{}&gt;", name_of_id(names, *id))
        }
        TypeDefKind::Handle(Handle::Own(id)) => name_of_id(names, *id),
        TypeDefKind::Type(ty) => type_name(names, ty),
        // The package has no other types without a name.
        other => other.as_str().to_owned(),
    }
}
