//! A prepaid balance, and when it is low.

use super::rates::Micros;

/// What is left of prepaid credit, by the box's own reckoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// What is left; less than 0 when more was spent.
    pub left: Micros,
    /// At this, or below, people are told.
    pub low_water: Micros,
}

impl Balance {
    /// The balance after a message that cost so much.
    #[must_use]
    pub const fn charged(self, cost: Micros) -> Self {
        Self { left: Micros(self.left.0.saturating_sub(cost.0)), ..self }
    }

    /// The balance after so much was paid in.
    #[must_use]
    pub const fn topped_up(self, amount: Micros) -> Self {
        Self { left: self.left.plus(amount), ..self }
    }

    /// Whether people are to be told.
    #[must_use]
    pub const fn is_low(self) -> bool {
        self.left.0 <= self.low_water.0
    }

    /// Whether this charge is the one that made it low: the alarm is raised once.
    #[must_use]
    pub const fn falls_low(self, cost: Micros) -> bool {
        !self.is_low() && self.charged(cost).is_low()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_is_raised_once() {
        let mut balance = Balance { left: Micros(100), low_water: Micros(40) };
        let mut alarms = Vec::new();
        for charge in 1..=12 {
            if balance.falls_low(Micros(10)) {
                alarms.push(charge);
            }
            balance = balance.charged(Micros(10));
        }
        assert_eq!(alarms, [6]);
        assert_eq!(balance.left, Micros(-20));
        assert!(balance.is_low() && !balance.topped_up(Micros(61)).is_low());
        assert!(
            !Balance { left: Micros(i64::MIN), ..balance }.charged(Micros(i64::MAX)).falls_low(Micros(1))
        );
    }
}
