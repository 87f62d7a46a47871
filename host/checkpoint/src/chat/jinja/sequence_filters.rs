//! Jinja2's built-in filters for sequences. `map`, `select` and similar filters are in `selection`.

use super::{
    arguments::{Arguments, expect_int, expect_size, expect_text, require},
    interpreter::Interpreter,
    operators,
    render_error::{RenderError, Result},
    repr::py_str,
    sorting::sort_by_key,
    value::{DictKey, PySequence, PyValue},
};
use indexmap::IndexSet;

/// Whether an optional parameter is given and true.
fn is_true(value: Option<PyValue>) -> bool {
    value.is_some_and(|value| value.is_true())
}

/// Treats a parameter with the value `None` as not given.
pub(super) fn not_none(value: Option<PyValue>) -> Option<PyValue> {
    value.filter(|value| !matches!(value, PyValue::None))
}

/// Converts a text to lower case unless the comparison is case-sensitive.
fn fold_case(value: PyValue, case_sensitive: bool) -> PyValue {
    match &value {
        PyValue::Str(text) if !case_sensitive => text.to_lowercase().into(),
        _ => value,
    }
}

impl Interpreter<'_> {
    /// Applies a filter for sequences. Returns `None` if there is no such filter in this module.
    pub(super) fn sequence_filter(
        &mut self,
        name: &str,
        value: &PyValue,
        given: Arguments,
    ) -> Result<Option<PyValue>> {
        let iterate = |interpreter: &Self| {
            let items = value.iterate()?;
            interpreter.fuel.take(1 + items.len())?;
            Ok::<_, RenderError>(items)
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
                    RenderError::invalid(format!(
                        "object of type '{}' has no len()",
                        value.type_name()
                    ))
                })?;
                self.fuel.take_text(value.as_str().map_or(0, str::len))?;
                length.into()
            }
            "first" => {
                let [] = given.take(name, [])?;
                let first = match value {
                    PyValue::Iterator(items) => items.left.borrow_mut().pop_front(),
                    _ => iterate(self)?.into_iter().next(),
                };
                first.unwrap_or_else(|| {
                    PyValue::Undefined("No first item, sequence was empty.".into())
                })
            }
            "last" => {
                let [] = given.take(name, [])?;
                if matches!(value, PyValue::Iterator(_) | PyValue::Undefined(_)) {
                    value.refuse_undefined()?;
                    let name = value.type_name();
                    return Err(RenderError::invalid(format!("'{name}' object is not reversible")));
                }
                iterate(self)?.pop().unwrap_or_else(|| {
                    PyValue::Undefined("No last item, sequence was empty.".into())
                })
            }
            "list" => {
                let [] = given.take(name, [])?;
                PyValue::list(iterate(self)?)?
            }
            "items" => {
                let [] = given.take(name, [])?;
                match value {
                    PyValue::Undefined(_) => PyValue::iterator("generator", Vec::new()),
                    PyValue::Dict(dict) => PyValue::iterator("generator", dict.items()?),
                    _ => {
                        return Err(RenderError::invalid(
                            "Can only get item pairs from a mapping.",
                        ));
                    }
                }
            }
            "reverse" => {
                let [] = given.take(name, [])?;
                if let PyValue::Str(string) = value {
                    self.fuel.take_text(string.len())?;
                    return Ok(Some(string.chars().rev().collect::<String>().into()));
                }
                let mut items = iterate(self)?;
                items.reverse();
                let kind = match value {
                    PyValue::List(_) => "list_reverseiterator",
                    PyValue::Dict(_) => "dict_reversekeyiterator",
                    PyValue::Range(_) => "range_iterator",
                    PyValue::Iterator(_) | PyValue::Undefined(_) => {
                        return PyValue::list(items).map(Some);
                    }
                    _ => "reversed",
                };
                PyValue::iterator(kind, items)
            }
            "join" => {
                let [between, attribute] = given.take(name, ["d", "attribute"])?;
                let between =
                    between.map_or(Ok("".into()), |between| py_str(&between, self.fuel))?;
                let attribute = not_none(attribute);
                let mut out = String::new();
                for (index, item) in iterate(self)?.iter().enumerate() {
                    let item = self.item_attribute(item, attribute.as_ref(), None)?;
                    if index > 0 {
                        out.push_str(&between);
                    }
                    let item = py_str(&item, self.fuel)?;
                    self.fuel.take_text(between.len() + item.len())?;
                    out.push_str(&item);
                }
                out.into()
            }
            "batch" => {
                let [count, fill] = given.take(name, ["linecount", "fill_with"])?;
                let count = expect_int(&require(count, name, "linecount")?, name)?;
                let items = iterate(self)?;
                // Jinja2 ends a row when its length equals `count`. A negative count is never reached, and a count of 0
                // is reached by the empty first row only.
                let mut rows: Vec<Vec<PyValue>> = match usize::try_from(count) {
                    Ok(0) if items.is_empty() => Vec::new(),
                    Ok(0) => vec![Vec::new(), items],
                    Ok(count) => items.chunks(count).map(<[_]>::to_vec).collect(),
                    Err(_) if items.is_empty() => Vec::new(),
                    Err(_) => vec![items],
                };
                if let (Some(fill), Some(last)) = (not_none(fill), rows.last_mut()) {
                    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
                    self.fuel.take(count)?;
                    last.resize(count.max(last.len()), fill);
                }
                let rows = rows.into_iter().map(PyValue::list).collect::<Result<_>>()?;
                PyValue::iterator("generator", rows)
            }
            "slice" => {
                let [slices, fill] = given.take(name, ["slices", "fill_with"])?;
                let slices = expect_size(&require(slices, name, "slices")?, name)?;
                if slices == 0 {
                    return Err(RenderError::invalid("integer division or modulo by zero"));
                }
                self.fuel.take(slices)?;
                let items = iterate(self)?;
                let (fill, mut rest) = (not_none(fill), &items[..]);
                let mut parts = Vec::new();
                for index in 0..slices {
                    let longer = index < items.len() % slices;
                    let (part, after) = rest.split_at(items.len() / slices + usize::from(longer));
                    let fill = fill.clone().filter(|_| !longer);
                    parts.push(PyValue::list(part.iter().cloned().chain(fill).collect())?);
                    rest = after;
                }
                PyValue::iterator("generator", parts)
            }
            "sum" => {
                let [attribute, start] = given.take(name, ["attribute", "start"])?;
                let attribute = not_none(attribute);
                let mut total = start.unwrap_or(PyValue::Int(0));
                if total.as_str().is_some() {
                    return Err(RenderError::invalid(
                        "sum() can't sum strings [use ''.join(seq) instead]",
                    ));
                }
                for item in iterate(self)? {
                    let item = self.item_attribute(&item, attribute.as_ref(), None)?;
                    total = operators::binary("+", &total, &item, self.fuel)?;
                }
                total
            }
            "min" | "max" => {
                let [case, attribute] = given.take(name, ["case_sensitive", "attribute"])?;
                let (case, attribute) = (is_true(case), not_none(attribute));
                let items = iterate(self)?;
                let mut best: Option<(PyValue, PyValue)> = None;
                for item in items {
                    let key =
                        fold_case(self.item_attribute(&item, attribute.as_ref(), None)?, case);
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
                    PyValue::Undefined("No aggregated item, sequence was empty.".into())
                })
            }
            "sort" => {
                let names = ["reverse", "case_sensitive", "attribute"];
                let [reverse, case, attribute] = given.take(name, names)?;
                let (case, attribute) = (is_true(case), not_none(attribute));
                let reverse = reverse.map_or(Ok(0), |reverse| expect_int(&reverse, name))? != 0;
                let attributes: Vec<Option<PyValue>> = match &attribute {
                    Some(PyValue::Str(all)) => all.split(',').map(|one| Some(one.into())).collect(),
                    other => vec![other.clone()],
                };
                let key = |item: &PyValue| {
                    let one = |name: &Option<PyValue>| {
                        Ok(fold_case(self.item_attribute(item, name.as_ref(), None)?, case))
                    };
                    PyValue::list(attributes.iter().map(one).collect::<Result<_>>()?)
                };
                PyValue::list(sort_by_key(iterate(self)?, key, reverse, self.fuel)?)?
            }
            "dictsort" => self.dict_sort(value, given)?,
            "unique" => {
                let [case, attribute] = given.take(name, ["case_sensitive", "attribute"])?;
                let (case, attribute) = (is_true(case), not_none(attribute));
                let (mut seen, mut kept) = (IndexSet::new(), Vec::new());
                for item in iterate(self)? {
                    let key =
                        fold_case(self.item_attribute(&item, attribute.as_ref(), None)?, case);
                    if seen.insert(DictKey::new(key)?) {
                        kept.push(item);
                    }
                }
                PyValue::iterator("generator", kept)
            }
            "groupby" => self.group_by(iterate(self)?, given)?,
            "map" => self.map(value, given)?,
            "select" | "reject" | "selectattr" | "rejectattr" => self.select(name, value, given)?,
            "attr" => {
                let [attribute] = given.take(name, ["name"])?;
                let attribute = expect_text(&require(attribute, name, "name")?, name)?;
                match value {
                    PyValue::Dict(dict) if dict.entries.contains_key(&*attribute) => {
                        return Err(RenderError::unsupported("the filter 'attr' of a key"));
                    }
                    _ => self.attribute(value, &attribute)?,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn dict_sort(&self, value: &PyValue, given: Arguments) -> Result<PyValue> {
        let [case, by, reverse] = given.take("dictsort", ["case_sensitive", "by", "reverse"])?;
        let case = is_true(case);
        let PyValue::Dict(dict) = value else {
            value.refuse_undefined()?;
            let name = value.type_name();
            return Err(RenderError::invalid(format!("'{name}' object has no attribute 'items'")));
        };
        let position = match by.as_ref().map(PyValue::as_str) {
            None | Some(Some("key")) => 0,
            Some(Some("value")) => 1,
            _ => {
                return Err(RenderError::invalid(
                    "You can only sort by either \"key\" or \"value\"",
                ));
            }
        };
        let key = |pair: &PyValue| {
            let part = pair.items().and_then(|pair| pair.get(position)).cloned();
            Ok(fold_case(part.unwrap_or(PyValue::None), case))
        };
        PyValue::list(sort_by_key(dict.items()?, key, is_true(reverse), self.fuel)?)
    }

    fn group_by(&self, items: Vec<PyValue>, given: Arguments) -> Result<PyValue> {
        let names = ["attribute", "default", "case_sensitive"];
        let [attribute, default, case] = given.take("groupby", names)?;
        let attribute = require(attribute, "groupby", "attribute")?;
        let (default, case) = (not_none(default), is_true(case));
        let attribute_of =
            |item: &PyValue| self.item_attribute(item, Some(&attribute), default.as_ref());
        let key = |item: &PyValue| Ok(fold_case(attribute_of(item)?, case));
        let mut groups: Vec<(PyValue, PyValue, Vec<PyValue>)> = Vec::new();
        for item in sort_by_key(items, key, false, self.fuel)? {
            let item_key = key(&item)?;
            match groups.last_mut() {
                Some((last, _, items)) if *last == item_key => items.push(item),
                _ => groups.push((item_key, attribute_of(&item)?, vec![item])),
            }
        }
        let group = |(_, shown, items)| {
            let items = PySequence::new(vec![shown, PyValue::list(items)?])?;
            Ok(PyValue::Group(items))
        };
        PyValue::list(groups.into_iter().map(group).collect::<Result<_>>()?)
    }
}

/// The names of all built-in filters of Jinja2. Some of them are not supported.
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

/// The error for a filter that neither this module nor `filters` applies.
pub(super) fn unknown_filter(name: &str) -> RenderError {
    match FILTERS.contains(&name) {
        true => RenderError::unsupported(format!("the filter '{name}'")),
        false => RenderError::invalid(format!("No filter named '{name}'.")),
    }
}
