"""Where a file holds data and where it has holes, as JSON, by SEEK_DATA and SEEK_HOLE.

usage: file_map.py FILE
"""

import errno
import json
import os
import sys

file = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(file).st_size
extents = []
position = 0
while position < size:
    try:
        data = os.lseek(file, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        data = size
    if data > position:
        extents.append({"offset": position, "length": data - position, "kind": "hole"})
    if data == size:
        break
    hole = os.lseek(file, data, os.SEEK_HOLE)
    extents.append({"offset": data, "length": hole - data, "kind": "data"})
    position = hole
print(json.dumps(extents))
