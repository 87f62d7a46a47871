//! Values of expressions.

use super::{
    arguments::Arguments,
    ast::{CallArguments, Expr, ExprId},
    fault::{Fault, Result},
    filters,
    interpreter::Interpreter,
    operators,
    sequence_filters::unknown_filter,
    text::text,
    value::{Key, Value},
};
use indexmap::IndexMap;

impl Interpreter<'_> {
    /// The value of an expression.
    pub(super) fn value(&mut self, at: ExprId) -> Result<Value> {
        self.deeper(|of| of.value_of(&of.syntax.expressions[at]))
    }

    fn value_of(&mut self, expression: &Expr) -> Result<Value> {
        Ok(match expression {
            Expr::Const(value) => value.clone(),
            Expr::Name(name) => self.name(name)?,
            Expr::Captured => self.captured.last().cloned().unwrap_or(Value::None),
            Expr::Tuple(values) => Value::tuple(self.values(values)?)?,
            Expr::List(values) => Value::list(self.values(values)?)?,
            Expr::Dict(entries) => {
                let mut dict = IndexMap::new();
                for (key, value) in entries {
                    let key = Key::new(self.value(*key)?)?;
                    dict.insert(key, self.value(*value)?);
                }
                Value::dict(dict)?
            }
            Expr::Attribute(of, name) => {
                let of = self.value(*of)?;
                self.attribute(&of, name)?
            }
            Expr::Item(of, key) => {
                let (of, key) = (self.value(*of)?, self.value(*key)?);
                self.item(&of, &key)?
            }
            Expr::Slice(of, bounds) => self.slice(*of, bounds)?,
            Expr::Call(..) => return self.call_expression(expression, None),
            Expr::Filter(value, name, arguments) => {
                let value = self.value(*value)?;
                let arguments = self.arguments(arguments)?;
                self.filter(name, &value, arguments)?
            }
            Expr::Test(value, name, arguments) => {
                let value = self.value(*value)?;
                let arguments = self.arguments(arguments)?;
                self.test(name, &value, arguments)?.into()
            }
            Expr::Not(value) => (!self.value(*value)?.is_true()).into(),
            Expr::Sign(sign, value) => operators::sign(sign, &self.value(*value)?)?,
            Expr::Binary(sign, one, two) => {
                let (one, two) = (self.value(*one)?, self.value(*two)?);
                operators::binary(sign, &one, &two, self.fuel)?
            }
            Expr::And(one, two) => {
                let one = self.value(*one)?;
                if one.is_true() { self.value(*two)? } else { one }
            }
            Expr::Or(one, two) => {
                let one = self.value(*one)?;
                if one.is_true() { one } else { self.value(*two)? }
            }
            Expr::Compare(first, others) => self.comparison(*first, others)?,
            Expr::Concat(values) => self.concatenation(values)?,
            Expr::Conditional { test, yes, no } => match (self.value(*test)?.is_true(), no) {
                (true, _) => self.value(*yes)?,
                (false, Some(no)) => self.value(*no)?,
                (false, None) => Value::Undefined(
                    "the inline if-expression evaluated to false and no else section was defined."
                        .into(),
                ),
            },
        })
    }

    fn values(&mut self, values: &[ExprId]) -> Result<Vec<Value>> {
        values.iter().map(|value| self.value(*value)).collect()
    }

    fn slice(&mut self, of: ExprId, bounds: &[Option<ExprId>; 3]) -> Result<Value> {
        let of = self.value(of)?;
        let mut given = [const { None }; 3];
        for (value, bound) in given.iter_mut().zip(bounds) {
            *value = bound.map(|bound| self.value(bound)).transpose()?;
        }
        operators::slice(&of, given, self.fuel)
    }

    fn comparison(&mut self, first: ExprId, others: &[(&'static str, ExprId)]) -> Result<Value> {
        let mut one = self.value(first)?;
        for (sign, other) in others {
            let two = self.value(*other)?;
            if !operators::compare(sign, &one, &two, self.fuel)? {
                return Ok(false.into());
            }
            one = two;
        }
        Ok(true.into())
    }

    fn concatenation(&mut self, values: &[ExprId]) -> Result<Value> {
        let mut out = String::new();
        for value in values {
            let value = self.value(*value)?;
            out.push_str(&text(&value, self.fuel)?);
            self.fuel.take_text(out.len())?;
        }
        Ok(out.into())
    }

    pub(super) fn arguments(&mut self, given: &CallArguments) -> Result<Arguments> {
        let mut all = Arguments { positional: self.values(&given.positional)?, named: Vec::new() };
        if let Some(more) = given.all_of {
            let more = self.value(more)?.iterate()?;
            self.fuel.take(more.len())?;
            all.positional.extend(more);
        }
        for (name, value) in &given.named {
            all.named.push((name.clone(), self.value(*value)?));
        }
        if let Some(more) = given.all_named_of {
            let Value::Dict(dict) = self.value(more)? else {
                return Err(Fault::invalid("argument after ** must be a mapping"));
            };
            self.fuel.take(dict.entries.len())?;
            for (key, value) in &dict.entries {
                let Value::Str(name) = key.value() else {
                    return Err(Fault::invalid("keywords must be strings"));
                };
                all.named.push((name.clone(), value.clone()));
            }
        }
        for (index, (name, _)) in all.named.iter().enumerate() {
            if all.named[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Fault::invalid(format!(
                    "got multiple values for keyword argument '{name}'"
                )));
            }
        }
        Ok(all)
    }

    /// Applies a filter.
    pub(super) fn filter(&mut self, name: &str, value: &Value, given: Arguments) -> Result<Value> {
        self.fuel.take(1)?;
        if let Some(value) = self.sequence_filter(name, value, given.clone())? {
            return Ok(value);
        }
        filters::apply(name, value, given, self.fuel)?.ok_or_else(|| unknown_filter(name))
    }
}
