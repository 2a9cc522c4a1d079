"""A network as a picture: what is drawn (`boxes`), where (`layout`), and how it is written (`svg`, `dot`)."""
