"""History of load: minutes of a day, hours of sixty days, days of five years, in a table that does not grow."""
