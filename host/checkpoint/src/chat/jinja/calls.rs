//! Calls functions, methods and macros.

use super::{
    arguments::{Arguments, expect_int, named_entries, require},
    ast::{Expr, ExprId, Macro},
    fuel::Fuel,
    interpreter::{Closure, Interpreter, check_namespace_name},
    render_error::{RenderError, Result},
    repr::py_str,
    strftime, strings,
    value::{BuiltinFunction, DictKey, DictView, PyRange, PyValue, StatefulKind},
};
use indexmap::IndexMap;

/// Largest number of items of a `range`: `MAX_RANGE` of Jinja2's sandbox.
const MAX_RANGE_LENGTH: usize = 100_000;

impl Interpreter<'_> {
    /// Evaluates a call. `caller` is the body of a `{% call %}` block, as a macro.
    pub(super) fn call_with(&mut self, at: ExprId, caller: Option<PyValue>) -> Result<PyValue> {
        self.descend(|interpreter| {
            interpreter.call_expression(&interpreter.syntax.expressions[at], caller)
        })
    }

    pub(super) fn call_expression(
        &mut self,
        call: &Expr,
        caller: Option<PyValue>,
    ) -> Result<PyValue> {
        let Expr::Call(callee, arguments) = call else {
            return Err(RenderError::invalid("expected call"));
        };
        let callee = self.value(*callee)?;
        let mut given = self.arguments(arguments)?;
        given.named.extend(caller.map(|caller| ("caller".into(), caller)));
        self.fuel.take(1)?;
        match &callee {
            PyValue::Undefined(why) => Err(RenderError::invalid(&**why)),
            PyValue::Stateful(StatefulKind::Macro, at) => self.call_macro(*at, given),
            PyValue::Stateful(StatefulKind::Loop, at) => {
                let [over] = given.take("loop", ["iterable"])?;
                self.recurse(*at, &require(over, "loop", "iterable")?)
            }
            PyValue::Stateful(StatefulKind::Joiner, at) => {
                let [] = given.take("joiner", [])?;
                let (between, used) = &mut self.joiners[*at];
                Ok(if std::mem::replace(used, true) { between.clone() } else { "".into() })
            }
            PyValue::Function(function) => self.call_function(*function, given),
            PyValue::Method(receiver, name) => self.call_method(receiver, name, given),
            other => {
                Err(RenderError::invalid(format!("'{}' object is not callable", other.type_name())))
            }
        }
    }

    fn call_method(&mut self, receiver: &PyValue, name: &str, given: Arguments) -> Result<PyValue> {
        match receiver {
            PyValue::Str(text) => strings::call(text, name, given, self.fuel),
            PyValue::Dict(dict) => match name {
                "get" => {
                    let [key, default] = given.take("get", ["/", "/default"])?;
                    let key = DictKey::new(require(key, "get", "key")?)?;
                    Ok(dict.entries.get(&key).cloned().or(default).unwrap_or(PyValue::None))
                }
                "keys" | "values" | "items" | "copy" => {
                    let [] = given.take(name, [])?;
                    Ok(match name {
                        "keys" => PyValue::View(DictView::Keys, dict.clone()),
                        "values" => PyValue::View(DictView::Values, dict.clone()),
                        "items" => PyValue::View(DictView::Items, dict.clone()),
                        _ => receiver.clone(),
                    })
                }
                _ => Err(RenderError::unsupported(format!("the method dict.{name}"))),
            },
            PyValue::List(_) | PyValue::Tuple(_) | PyValue::Group(_) | PyValue::Range(_)
                if ["copy", "count", "index"].contains(&name) =>
            {
                call_sequence(receiver, name, given, self.fuel)
            }
            PyValue::Stateful(StatefulKind::Loop, at) => self.call_loop_method(*at, name, given),
            PyValue::Stateful(StatefulKind::Cycler, at) => {
                let [] = given.take(name, [])?;
                let (items, index) = &mut self.cyclers[*at];
                if name == "reset" {
                    *index = 0;
                    return Ok(PyValue::None);
                }
                let current = items[*index].clone();
                *index = (*index + 1) % items.len();
                Ok(current)
            }
            other => {
                Err(RenderError::unsupported(format!("the method {}.{name}", other.type_name())))
            }
        }
    }

    fn call_loop_method(&mut self, at: usize, name: &str, given: Arguments) -> Result<PyValue> {
        let loop_state = &mut self.loops[at];
        if name == "cycle" {
            let values = given.positional;
            if values.is_empty() {
                return Err(RenderError::invalid("no items for cycling given"));
            }
            return Ok(values[loop_state.index % values.len()].clone());
        }
        let same = loop_state.changed.as_ref() == Some(&given.positional);
        loop_state.changed = Some(given.positional);
        Ok((!same).into())
    }

    fn call_function(&mut self, function: BuiltinFunction, given: Arguments) -> Result<PyValue> {
        match function {
            BuiltinFunction::Range => self.range(given),
            BuiltinFunction::Dict => {
                let entries = self.dict_entries(given)?;
                PyValue::dict(entries)
            }
            BuiltinFunction::Namespace => {
                let mut attributes = IndexMap::new();
                for (name, value) in self.dict_entries(given)? {
                    let PyValue::Str(name) = name.value() else {
                        return Err(RenderError::unsupported(
                            "a namespace with other names than texts",
                        ));
                    };
                    check_namespace_name(name)?;
                    attributes.insert(name.clone(), value);
                }
                self.fuel.take(1 + attributes.len())?;
                self.namespaces.push(attributes);
                Ok(PyValue::Stateful(StatefulKind::Namespace, self.namespaces.len() - 1))
            }
            BuiltinFunction::Cycler => {
                if given.positional.is_empty() {
                    return Err(RenderError::invalid("at least one item has to be provided"));
                }
                self.fuel.take(1 + given.positional.len())?;
                self.cyclers.push((given.positional, 0));
                Ok(PyValue::Stateful(StatefulKind::Cycler, self.cyclers.len() - 1))
            }
            BuiltinFunction::Joiner => {
                let [between] = given.take("joiner", ["sep"])?;
                self.joiners.push((between.unwrap_or_else(|| ", ".into()), false));
                Ok(PyValue::Stateful(StatefulKind::Joiner, self.joiners.len() - 1))
            }
            BuiltinFunction::RaiseException => {
                let [message] = given.take("raise_exception", ["message"])?;
                let message = require(message, "raise_exception", "message")?;
                Err(RenderError::raised(py_str(&message, self.fuel)?.to_string()))
            }
            BuiltinFunction::StrftimeNow => {
                let [format] = given.take("strftime_now", ["format"])?;
                match require(format, "strftime_now", "format")? {
                    PyValue::Str(format) => {
                        self.fuel.take_text(format.len())?;
                        Ok(strftime::strftime(&format, self.now)?.into())
                    }
                    _ => Err(RenderError::invalid("strftime() argument 1 must be str")),
                }
            }
            BuiltinFunction::Lipsum => {
                Err(RenderError::unsupported("the function 'lipsum', which is random"))
            }
        }
    }

    fn range(&mut self, given: Arguments) -> Result<PyValue> {
        let [one, two, step] = given.take("range", ["/", "/stop", "/step"])?;
        let one = expect_int(&require(one, "range", "stop")?, "range")?;
        let two = two.map(|two| expect_int(&two, "range")).transpose()?;
        let step = step.map_or(Ok(1), |step| expect_int(&step, "range"))?;
        if step == 0 {
            return Err(RenderError::invalid("range() arg 3 must not be zero"));
        }
        let (start, stop) = two.map_or((0, one), |two| (one, two));
        if [start, stop, step].iter().any(|bound| bound.abs() > i64::MAX.into()) {
            return Err(RenderError::invalid("Range too big"));
        }
        let range = PyRange { start, stop, step };
        if range.len() > MAX_RANGE_LENGTH {
            return Err(RenderError::invalid(format!(
                "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({MAX_RANGE_LENGTH})."
            )));
        }
        Ok(PyValue::Range(range))
    }

    /// Collects the entries of `dict(...)`: those of a mapping or of pairs, then the named arguments.
    fn dict_entries(&mut self, given: Arguments) -> Result<IndexMap<DictKey, PyValue>> {
        let mut entries = IndexMap::new();
        if given.positional.len() > 1 {
            return Err(RenderError::invalid("dict expected at most 1 argument"));
        }
        match given.positional.first() {
            None => {}
            Some(PyValue::Dict(dict)) => entries.extend(dict.entries.clone()),
            Some(pairs) => {
                for pair in pairs.iterate()? {
                    let Ok([key, value]) = <[PyValue; 2]>::try_from(pair.iterate()?) else {
                        return Err(RenderError::invalid(
                            "dictionary update sequence element has not two items",
                        ));
                    };
                    entries.insert(DictKey::new(key)?, value);
                }
            }
        }
        entries.extend(named_entries(given.named));
        self.fuel.take(entries.len())?;
        Ok(entries)
    }

    /// Calls a macro. Arguments become parameters as in Jinja2's `Macro.__call__`.
    pub(super) fn call_macro(&mut self, at: usize, given: Arguments) -> Result<PyValue> {
        let Closure { definition, scope } = self.macros[at].clone();
        let Arguments { positional, mut named } = given;
        let Macro { name, parameters, defaults, body, special } = &*definition;
        let mut take = |wanted: &str| {
            let at = named.iter().position(|(name, _)| **name == *wanted)?;
            Some(named.remove(at).1)
        };
        let mut values: Vec<Option<PyValue>> =
            positional.iter().take(parameters.len()).cloned().map(Some).collect();
        for parameter in &parameters[values.len()..] {
            values.push(take(parameter));
        }
        let names_caller = parameters.iter().any(|parameter| **parameter == *"caller");
        let caller = (special.caller && !names_caller).then(|| {
            take("caller").unwrap_or_else(|| PyValue::Undefined("No caller defined".into()))
        });
        if let (false, Some((unknown, _))) = (special.kwargs, named.first()) {
            return Err(RenderError::invalid(format!(
                "macro '{name}' takes no keyword argument '{unknown}'"
            )));
        }
        if !special.varargs && positional.len() > parameters.len() {
            return Err(RenderError::invalid(format!(
                "macro '{name}' takes not more than {} argument(s)",
                parameters.len()
            )));
        }
        let first_default = parameters.len() - defaults.len();
        self.in_scope(scope, |interpreter| {
            for (index, (parameter, value)) in parameters.iter().zip(values).enumerate() {
                let value = match (value, index.checked_sub(first_default)) {
                    (Some(value), _) => value,
                    (None, Some(default)) => interpreter.value(defaults[default])?,
                    (None, None) => PyValue::Undefined(
                        format!("parameter '{parameter}' was not provided").into(),
                    ),
                };
                interpreter.set(parameter, value);
            }
            if let Some(caller) = caller {
                interpreter.set(&"caller".into(), caller);
            }
            if special.kwargs {
                interpreter.set(&"kwargs".into(), PyValue::dict(named_entries(named))?);
            }
            if special.varargs {
                let rest = positional.get(parameters.len()..).unwrap_or_default();
                interpreter.set(&"varargs".into(), PyValue::tuple(rest.to_vec())?);
            }
            interpreter.capture(|interpreter| interpreter.run(body).map(|_| ()))
        })
    }
}

/// Calls `copy`, `count` or `index` of a list, a tuple or a range.
fn call_sequence(
    receiver: &PyValue,
    method: &str,
    given: Arguments,
    fuel: &Fuel,
) -> Result<PyValue> {
    let items = match receiver {
        PyValue::Range(PyRange { .. }) => receiver.iterate()?,
        other => other.items().unwrap_or_default().to_vec(),
    };
    fuel.take(items.len())?;
    match method {
        "copy" => {
            let [] = given.take(method, [])?;
            PyValue::list(items)
        }
        "count" => {
            let [value] = given.take(method, ["/"])?;
            let value = require(value, method, "value")?;
            Ok(items.iter().filter(|item| **item == value).count().into())
        }
        _ => {
            let [value] = given.take(method, ["/"])?;
            let value = require(value, method, "value")?;
            match items.iter().position(|item| *item == value) {
                Some(at) => Ok(at.into()),
                None => {
                    let shown = py_str(&value, fuel)?;
                    Err(RenderError::invalid(format!("{shown} is not in {}", receiver.type_name())))
                }
            }
        }
    }
}
