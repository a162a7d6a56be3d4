//! Functions of one variable, in double precision inside.

use super::expr::Expr;

/// Declares [`Function`] with its names and formulas: one line a function.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $({ $($(#[$field_doc:meta])* $field:ident),+ })? => |$x:ident| $formula:expr;)*) => {
        /// A function of one variable.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Function {
            $($(#[$doc])* $name $({ $($(#[$field_doc])* $field: f32),+ })?,)*
            /// An expression in `x`.
            Composite(
                /// The expression.
                Box<Expr>,
            ),
        }

        impl Function {
            /// The function's name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Function::$name $({ $($field: _),+ })? => stringify!($name),)*
                    Function::Composite(_) => "Composite",
                }
            }

            /// `f(x)`.
            pub(crate) fn eval(&self, x: f64) -> f64 {
                match self {
                    $(Function::$name $({ $($field),+ })? => {
                        $($(let $field = f64::from(*$field);)+)?
                        let $x = x;
                        $formula
                    })*
                    Function::Composite(expr) => expr.eval(x),
                }
            }
        }
    };
}

functions! {
    /// `x` if positive, else `alpha·x`.
    LeakyRelu {
        /// Slope below zero.
        alpha
    } => |x| if x < 0.0 { alpha * x } else { x };
    /// `x·min(max(x/6 + 1/2, 0), 1)`.
    HardSwish => |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0);
    /// `min(max(alpha·x + beta, 0), 1)`.
    HardSigmoid {
        /// Slope.
        alpha,
        /// Value at zero.
        beta
    } => |x| (alpha * x + beta).clamp(0.0, 1.0);
    /// `1/(1 + e^−x)`.
    Sigmoid => |x| sigmoid(x);
    /// Hyperbolic tangent.
    Tanh => |x| x.tanh();
    /// `x` if positive, else `alpha·(e^x − 1)`.
    Elu {
        /// Minus the limit below zero.
        alpha
    } => |x| if x < 0.0 { alpha * x.exp_m1() } else { x };
    /// `max(x, 0) + min(alpha·(e^(x/alpha) − 1), 0)`.
    Celu {
        /// Minus the limit below zero.
        alpha
    } => |x| if x < 0.0 { alpha * (x / alpha).exp_m1() } else { x };
    /// `gamma·x` if positive, else `gamma·alpha·(e^x − 1)`.
    Selu {
        /// Minus the limit below zero, divided by `gamma`.
        alpha,
        /// Slope above zero.
        gamma
    } => |x| gamma * if x < 0.0 { alpha * x.exp_m1() } else { x };
    /// `x·(1 + erf(x/√2))/2`.
    Gelu => |x| 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2));
    /// `x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2`.
    GeluTanh => |x| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh());
    /// `x/(1 + e^−x)`.
    Silu => |x| x * sigmoid(x);
    /// `x·tanh(ln(1 + e^x))`.
    Mish => |x| x * softplus(x).tanh();
    /// `ln(1 + e^x)`.
    Softplus => |x| softplus(x);
    /// `x/(1 + |x|)`.
    Softsign => |x| x / (1.0 + x.abs());
    /// `e^x`.
    Exp => |x| x.exp();
    /// Natural logarithm.
    Ln => |x| x.ln();
    /// Square root.
    Sqrt => |x| x.sqrt();
    /// `1/√x`.
    Rsqrt => |x| x.sqrt().recip();
    /// `1/x`.
    Recip => |x| x.recip();
    /// `|x|`.
    Abs => |x| x.abs();
    /// `−x`.
    Neg => |x| -x;
    /// `x²`.
    Square => |x| x * x;
    /// `x^exponent`.
    Pow {
        /// The exponent.
        exponent
    } => |x| x.powf(exponent);
    /// Sine.
    Sin => |x| x.sin();
    /// Cosine.
    Cos => |x| x.cos();
    /// Tangent.
    Tan => |x| x.tan();
    /// Inverse sine.
    Asin => |x| x.asin();
    /// Inverse cosine.
    Acos => |x| x.acos();
    /// Inverse tangent.
    Atan => |x| x.atan();
    /// Hyperbolic sine.
    Sinh => |x| x.sinh();
    /// Hyperbolic cosine.
    Cosh => |x| x.cosh();
    /// Inverse hyperbolic sine.
    Asinh => |x| x.asinh();
    /// Inverse hyperbolic cosine.
    Acosh => |x| x.acosh();
    /// Inverse hyperbolic tangent.
    Atanh => |x| x.atanh();
    /// Error function.
    Erf => |x| libm::erf(x);
    /// Smallest integer not below `x`.
    Ceil => |x| x.ceil();
    /// Largest integer not above `x`.
    Floor => |x| x.floor();
    /// Nearest integer, ties to even.
    Round => |x| x.round_ties_even();
    /// Nearest integer, ties away from zero.
    RoundHalfAway => |x| x.round();
    /// −1, 0 or 1.
    Sign => |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x };
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

impl Function {
    /// `f(x)`, rounded once.
    pub fn apply(&self, x: f32) -> f32 {
        self.eval(f64::from(x)) as f32
    }

    /// The function that `expr` describes, under its own name if it is one that has a name.
    ///
    /// Recognition is by value, so it does not depend on how a model spells a function: a named function is taken if
    /// it agrees with the expression to 10⁻⁶ at every point of a grid.
    pub fn from_expr(expr: Expr) -> Function {
        if let Expr::Apply(function, x) = &expr
            && **x == Expr::X
        {
            return function.clone();
        }
        let f = |x: f64| expr.eval(x);
        let (beta, low) = (f(0.0) as f32, -f(-40.0) as f32);
        let named = [
            Function::HardSwish,
            Function::Sigmoid,
            Function::Silu,
            Function::Gelu,
            Function::GeluTanh,
            Function::Mish,
            Function::Softplus,
            Function::Softsign,
            Function::Tanh,
            Function::LeakyRelu { alpha: -f(-1.0) as f32 },
            Function::HardSigmoid { alpha: ((f(0.5) - f(-0.5)) as f32), beta },
            Function::Elu { alpha: low },
            Function::Celu { alpha: low },
            Function::Selu { alpha: low / f(1.0) as f32, gamma: f(1.0) as f32 },
        ];
        let same = |candidate: &Function| {
            (-640..=640).map(|i| f64::from(i) / 40.0).all(|x| {
                let want = f(x);
                (candidate.eval(x) - want).abs() <= 1e-6 * want.abs().max(1.0)
            })
        };
        named.into_iter().find(same).unwrap_or_else(|| Function::Composite(Box::new(expr)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::expr::Binary;

    #[test]
    fn values_at_known_points() {
        assert_eq!(Function::HardSwish.apply(1.0), 2.0 / 3.0);
        assert!((Function::Gelu.apply(1.0) - 0.841_344_7).abs() < 1e-6);
        assert_eq!(Function::Round.apply(2.5), 2.0);
        assert_eq!(Function::Softplus.apply(100.0), 100.0);
        assert_eq!(Function::Pow { exponent: 3.0 }.apply(-2.0), -8.0);
        assert_eq!(Function::LeakyRelu { alpha: 0.5 }.name(), "LeakyRelu");
    }

    #[test]
    fn spelled_out_functions_get_their_names() {
        let x = || Box::new(Expr::X);
        let relu6 = Expr::X.plus(3.0).clamp(0.0, 6.0);
        let hard_swish = Expr::Binary(Binary::Mul, x(), Box::new(relu6.times(1.0 / 6.0)));
        assert_eq!(Function::from_expr(hard_swish), Function::HardSwish);
        let silu = Expr::Binary(Binary::Mul, x(), Box::new(Expr::Apply(Function::Sigmoid, x())));
        assert_eq!(Function::from_expr(silu), Function::Silu);
        let elu = Expr::Select(
            Box::new(Expr::Binary(Binary::Less, Box::new(Expr::Const(0.0)), x())),
            x(),
            Box::new(Expr::Apply(Function::Exp, x()).plus(-1.0).times(0.5)),
        );
        assert_eq!(Function::from_expr(elu), Function::Elu { alpha: 0.5 });
        let other = Expr::Apply(Function::Sin, x()).times(2.0);
        assert_eq!(Function::from_expr(other.clone()), Function::Composite(Box::new(other)));
    }
}
