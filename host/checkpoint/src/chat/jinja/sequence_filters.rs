//! Jinja2's filters that go through values.

use super::{
    arguments::{Arguments, int_of, required, size_of, text_of},
    fault::{Fault, Result},
    interpreter::Interpreter,
    operators,
    sorting::sorted,
    text::text,
    value::{Key, Sequence, Value},
};
use indexmap::IndexSet;

/// A parameter that is true or false.
fn is_true(value: Option<Value>) -> bool {
    value.is_some_and(|value| value.is_true())
}

/// A parameter, of which `None` says that it is not given.
pub(super) fn given_value(value: Option<Value>) -> Option<Value> {
    value.filter(|value| !matches!(value, Value::None))
}

/// Lower case, if it is a text and case does not matter.
fn folded(value: Value, case_sensitive: bool) -> Value {
    match &value {
        Value::Str(text) if !case_sensitive => text.to_lowercase().into(),
        _ => value,
    }
}

impl Interpreter<'_> {
    /// Applies a filter that goes through values; none where the name is none of them.
    pub(super) fn sequence_filter(
        &mut self,
        name: &str,
        value: &Value,
        given: Arguments,
    ) -> Result<Option<Value>> {
        let iterate = |of: &Self| {
            let items = value.iterate()?;
            of.fuel.take(1 + items.len())?;
            Ok::<_, Fault>(items)
        };
        Ok(Some(match name {
            "default" | "d" => {
                let [default, boolean] = given.take(name, ["default_value", "boolean"])?;
                let wanting = value.is_undefined() || is_true(boolean) && !value.is_true();
                if wanting { default.unwrap_or_else(|| "".into()) } else { value.clone() }
            }
            "length" | "count" => {
                let [] = given.take(name, [])?;
                let length = value.len().ok_or_else(|| {
                    Fault::invalid(format!("object of type '{}' has no len()", value.type_name()))
                })?;
                self.fuel.take_text(value.as_str().map_or(0, str::len))?;
                length.into()
            }
            "first" => {
                let [] = given.take(name, [])?;
                let first = match value {
                    Value::Iterator(items) => items.left.borrow_mut().pop_front(),
                    _ => iterate(self)?.into_iter().next(),
                };
                first.unwrap_or_else(|| {
                    Value::Undefined("No first item, sequence was empty.".into())
                })
            }
            "last" => {
                let [] = given.take(name, [])?;
                if matches!(value, Value::Iterator(_) | Value::Undefined(_)) {
                    value.refuse_undefined()?;
                    let name = value.type_name();
                    return Err(Fault::invalid(format!("'{name}' object is not reversible")));
                }
                iterate(self)?
                    .pop()
                    .unwrap_or_else(|| Value::Undefined("No last item, sequence was empty.".into()))
            }
            "list" => {
                let [] = given.take(name, [])?;
                Value::list(iterate(self)?)?
            }
            "items" => {
                let [] = given.take(name, [])?;
                match value {
                    Value::Undefined(_) => Value::iterator("generator", Vec::new()),
                    Value::Dict(dict) => Value::iterator("generator", dict.items()?),
                    _ => return Err(Fault::invalid("Can only get item pairs from a mapping.")),
                }
            }
            "reverse" => {
                let [] = given.take(name, [])?;
                if let Value::Str(of) = value {
                    self.fuel.take_text(of.len())?;
                    return Ok(Some(of.chars().rev().collect::<String>().into()));
                }
                let mut items = iterate(self)?;
                items.reverse();
                let kind = match value {
                    Value::List(_) => "list_reverseiterator",
                    Value::Dict(_) => "dict_reversekeyiterator",
                    Value::Range(_) => "range_iterator",
                    Value::Iterator(_) | Value::Undefined(_) => {
                        return Value::list(items).map(Some);
                    }
                    _ => "reversed",
                };
                Value::iterator(kind, items)
            }
            "join" => {
                let [between, attribute] = given.take(name, ["d", "attribute"])?;
                let between = between.map_or(Ok("".into()), |between| text(&between, self.fuel))?;
                let attribute = given_value(attribute);
                let mut out = String::new();
                for (index, item) in iterate(self)?.iter().enumerate() {
                    let item = self.by_attribute(item, attribute.as_ref(), None)?;
                    if index > 0 {
                        out.push_str(&between);
                    }
                    let item = text(&item, self.fuel)?;
                    self.fuel.take_text(between.len() + item.len())?;
                    out.push_str(&item);
                }
                out.into()
            }
            "batch" => {
                let [count, fill] = given.take(name, ["linecount", "fill_with"])?;
                let count = int_of(&required(count, name, "linecount")?, name)?;
                let items = iterate(self)?;
                // A row ends where it has so many: one of less than nothing never does, one of nothing at once.
                let mut rows: Vec<Vec<Value>> = match usize::try_from(count) {
                    Ok(0) if items.is_empty() => Vec::new(),
                    Ok(0) => vec![Vec::new(), items],
                    Ok(count) => items.chunks(count).map(<[_]>::to_vec).collect(),
                    Err(_) if items.is_empty() => Vec::new(),
                    Err(_) => vec![items],
                };
                if let (Some(fill), Some(last)) = (given_value(fill), rows.last_mut()) {
                    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
                    self.fuel.take(count)?;
                    last.resize(count.max(last.len()), fill);
                }
                let rows = rows.into_iter().map(Value::list).collect::<Result<_>>()?;
                Value::iterator("generator", rows)
            }
            "slice" => {
                let [slices, fill] = given.take(name, ["slices", "fill_with"])?;
                let slices = size_of(&required(slices, name, "slices")?, name)?;
                if slices == 0 {
                    return Err(Fault::invalid("integer division or modulo by zero"));
                }
                self.fuel.take(slices)?;
                let items = iterate(self)?;
                let (fill, mut rest) = (given_value(fill), &items[..]);
                let mut parts = Vec::new();
                for index in 0..slices {
                    let longer = index < items.len() % slices;
                    let (part, after) = rest.split_at(items.len() / slices + usize::from(longer));
                    let fill = fill.clone().filter(|_| !longer);
                    parts.push(Value::list(part.iter().cloned().chain(fill).collect())?);
                    rest = after;
                }
                Value::iterator("generator", parts)
            }
            "sum" => {
                let [attribute, start] = given.take(name, ["attribute", "start"])?;
                let attribute = given_value(attribute);
                let mut total = start.unwrap_or(Value::Int(0));
                if total.as_str().is_some() {
                    return Err(Fault::invalid(
                        "sum() can't sum strings [use ''.join(seq) instead]",
                    ));
                }
                for item in iterate(self)? {
                    let item = self.by_attribute(&item, attribute.as_ref(), None)?;
                    total = operators::binary("+", &total, &item, self.fuel)?;
                }
                total
            }
            "min" | "max" => {
                let [case, attribute] = given.take(name, ["case_sensitive", "attribute"])?;
                let (case, attribute) = (is_true(case), given_value(attribute));
                let items = iterate(self)?;
                let mut best: Option<(Value, Value)> = None;
                for item in items {
                    let key = folded(self.by_attribute(&item, attribute.as_ref(), None)?, case);
                    let better = match &best {
                        None => true,
                        Some((_, than)) => {
                            let sign = if name == "min" { "<" } else { ">" };
                            operators::compare(sign, &key, than, self.fuel)?
                        }
                    };
                    if better {
                        best = Some((item, key));
                    }
                }
                best.map(|(item, _)| item).unwrap_or_else(|| {
                    Value::Undefined("No aggregated item, sequence was empty.".into())
                })
            }
            "sort" => {
                let names = ["reverse", "case_sensitive", "attribute"];
                let [reverse, case, attribute] = given.take(name, names)?;
                let (case, attribute) = (is_true(case), given_value(attribute));
                let reverse = reverse.map_or(Ok(0), |reverse| int_of(&reverse, name))? != 0;
                let attributes: Vec<Option<Value>> = match &attribute {
                    Some(Value::Str(all)) => all.split(',').map(|one| Some(one.into())).collect(),
                    other => vec![other.clone()],
                };
                let key = |item: &Value| {
                    let one = |name: &Option<Value>| {
                        Ok(folded(self.by_attribute(item, name.as_ref(), None)?, case))
                    };
                    Value::list(attributes.iter().map(one).collect::<Result<_>>()?)
                };
                Value::list(sorted(iterate(self)?, key, reverse, self.fuel)?)?
            }
            "dictsort" => self.dict_sort(value, given)?,
            "unique" => {
                let [case, attribute] = given.take(name, ["case_sensitive", "attribute"])?;
                let (case, attribute) = (is_true(case), given_value(attribute));
                let (mut seen, mut kept) = (IndexSet::new(), Vec::new());
                for item in iterate(self)? {
                    let key = folded(self.by_attribute(&item, attribute.as_ref(), None)?, case);
                    if seen.insert(Key::new(key)?) {
                        kept.push(item);
                    }
                }
                Value::iterator("generator", kept)
            }
            "groupby" => self.group_by(iterate(self)?, given)?,
            "map" => self.map(value, given)?,
            "select" | "reject" | "selectattr" | "rejectattr" => self.select(name, value, given)?,
            "attr" => {
                let [attribute] = given.take(name, ["name"])?;
                let attribute = text_of(&required(attribute, name, "name")?, name)?;
                match value {
                    Value::Dict(dict) if dict.entries.contains_key(&*attribute) => {
                        return Err(Fault::unsupported("the filter 'attr' of a key"));
                    }
                    _ => self.attribute(value, &attribute)?,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn dict_sort(&self, value: &Value, given: Arguments) -> Result<Value> {
        let [case, by, reverse] = given.take("dictsort", ["case_sensitive", "by", "reverse"])?;
        let case = is_true(case);
        let Value::Dict(dict) = value else {
            value.refuse_undefined()?;
            let name = value.type_name();
            return Err(Fault::invalid(format!("'{name}' object has no attribute 'items'")));
        };
        let position = match by.as_ref().map(Value::as_str) {
            None | Some(Some("key")) => 0,
            Some(Some("value")) => 1,
            _ => return Err(Fault::invalid("You can only sort by either \"key\" or \"value\"")),
        };
        let key = |pair: &Value| {
            let part = pair.items().and_then(|pair| pair.get(position)).cloned();
            Ok(folded(part.unwrap_or(Value::None), case))
        };
        Value::list(sorted(dict.items()?, key, is_true(reverse), self.fuel)?)
    }

    fn group_by(&self, items: Vec<Value>, given: Arguments) -> Result<Value> {
        let names = ["attribute", "default", "case_sensitive"];
        let [attribute, default, case] = given.take("groupby", names)?;
        let attribute = required(attribute, "groupby", "attribute")?;
        let (default, case) = (given_value(default), is_true(case));
        let of = |item: &Value| self.by_attribute(item, Some(&attribute), default.as_ref());
        let key = |item: &Value| Ok(folded(of(item)?, case));
        let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
        for item in sorted(items, key, false, self.fuel)? {
            let own = key(&item)?;
            match groups.last_mut() {
                Some((last, _, items)) if *last == own => items.push(item),
                _ => groups.push((own, of(&item)?, vec![item])),
            }
        }
        let group = |(_, shown, items)| {
            let items = Sequence::new(vec![shown, Value::list(items)?])?;
            Ok(Value::Group(items))
        };
        Value::list(groups.into_iter().map(group).collect::<Result<_>>()?)
    }
}

/// Every filter of Jinja2, of which some are refused.
pub(super) const FILTERS: [&str; 54] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
];

/// The refusal of a filter that is none of those above.
pub(super) fn unknown_filter(name: &str) -> Fault {
    match FILTERS.contains(&name) {
        true => Fault::unsupported(format!("the filter '{name}'")),
        false => Fault::invalid(format!("No filter named '{name}'.")),
    }
}
