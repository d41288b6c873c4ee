"""What goes over Coze's wire. Pure: bytes and values in, values and bytes out."""
