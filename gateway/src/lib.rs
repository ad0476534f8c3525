//! The appliance: reads the configuration, wires the parts, runs the workers, drains.
