"""The grammar of the `.net` language; `net.lark` is read by `dslc.parse`."""
