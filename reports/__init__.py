"""From records to what people see; needs no GPU. See reports/README.md."""
