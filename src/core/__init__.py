"""The parts that every other package stands on."""
