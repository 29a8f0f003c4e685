# Nothing here is for Python: what values.pyx and cbor_values.pyx raise is made by refusal(), see unwritable.pxd.
