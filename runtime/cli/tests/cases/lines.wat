;; Traps show the lines of the source when there is debug information: also of functions that were inlined, and for names
;; that the module itself does not have. The sections are what a compiler makes of `average`, in which `divide` is inlined.
;; RUN: run {file}
(module
  (func (export "_start") nop unreachable)
  (@custom ".debug_abbrev" "\01\11\01\03\08\1b\08\10\17\11\01\12\06\00\00\02.\00\03\08\00\00\03.\01\03\08\11\01\12\06\00\00\04\1d\001\13\11\01\12\06X\0bY\0bW\0b\00\00\00")
  (@custom ".debug_info" "Y\00\00\00\04\00\00\00\00\00\04\01lines.c\00/disk/ada/project\00\00\00\00\00\01\00\00\00\05\00\00\00\02divide\00\03average\00\01\00\00\00\05\00\00\00\042\00\00\00\04\00\00\00\01\00\00\00\01\09\0c\00\00")
  (@custom ".debug_line" "S\00\00\00\04\005\00\00\00\01\01\01\fb\0e\0d\00\01\01\01\01\00\00\00\01\00\00\01/disk/ada/project/src\00\00lines.c\00\01\00\00\00\00\05\02\01\00\00\00\03\07\05\03\01\02\03\03|\05\0a\01\02\02\00\01\01"))
