;; Limits of a guest, in both spellings, and what reaching them says.
;; RUN: run --fuel 1000 --invoke endless {file}
;; RUN: run -W fuel=1000 --invoke endless {file}
;; RUN: run --timeout 30ms --invoke endless {file}
;; RUN: run -Wtimeout=30ms --invoke endless {file}
;; RUN: run --timeout soon --invoke endless {file}
;; RUN: run --invoke grow {file}
;; RUN: run --max-memory 1MiB --invoke grow {file}
;; RUN: run -W max-memory-size=65536 --invoke grow {file}
;; RUN: run --fuel 1_000 --invoke grow {file}
;; RUN: run -O opt-level=0 -C cache=n --invoke grow {file}
;; RUN: run -W fule=1 --invoke grow {file}
;; RUN: run -S threads --invoke grow {file}
;; RUN: run -W bulk-memory=maybe --invoke grow {file}
;; RUN: run --seed 1 --invoke grow {file}
(module
  (memory 1)
  (func (export "endless") (loop (br 0)))
  (func (export "grow") (result i32) (memory.grow (i32.const 100))))
