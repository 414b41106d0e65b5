;; Text that does not parse.
;; RUN: run {file}
(module
  (func (i32.cosnt 1)))
