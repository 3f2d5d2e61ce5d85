"""What goes wrong in life: processes die, databases go away, clocks jump, secrets change."""
