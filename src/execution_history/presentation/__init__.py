"""What the command line and the page both show: values as text, time zones, sentences. Pure."""
