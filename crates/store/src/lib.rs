//! What was acknowledged survives: intake log, journal, duplicates, dead letters.
