;; The network: nothing without --net, and what a rule names with it.
;; RUN: run --deny-report --invoke connect {file}
;; RUN: run --deny-report --net tcp://127.0.0.1:1 --invoke connect {file}
;; RUN: run --deny-report --net inherit -S tcp=n --invoke connect {file}
;; RUN: run --deny-report -S inherit-network --invoke connect {file}
;; RUN: run --deny-report --net tcp://localhost:1 --invoke lookup {file}
;; RUN: run --deny-report -S inherit-network --invoke lookup {file}
;; RUN: run --deny-report -S inherit-network,allow-ip-name-lookup --invoke lookup {file}
;; RUN: run --net 127.0.0.1:1 --invoke connect {file}
;; RUN: run --net tcp://:80 --invoke connect {file}
;; RUN: run --net none --net inherit --invoke connect {file}
(component
  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type (sub resource)))
    (type $code (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
      "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
      "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $code)))
    (type $family (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $family)))
    (type $v4 (tuple u8 u8 u8 u8))
    (type $v6 (tuple u16 u16 u16 u16 u16 u16 u16 u16))
    (type $s4 (record (field "port" u16) (field "address" $v4)))
    (export "ipv4-socket-address" (type $s4e (eq $s4)))
    (type $s6 (record (field "port" u16) (field "flow-info" u32) (field "address" $v6) (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $s6e (eq $s6)))
    (type $address (variant (case "ipv4" $s4e) (case "ipv6" $s6e)))
    (export "ip-socket-address" (type (eq $address)))))
  (alias export $network "network" (type $net))
  (alias export $network "error-code" (type $code))
  (alias export $network "ip-address-family" (type $family))
  (alias export $network "ip-socket-address" (type $address))
  (import "wasi:sockets/instance-network@0.2.0" (instance $default
    (alias outer 1 $net (type $n))
    (export "network" (type $net (eq $n)))
    (export "instance-network" (func (result (own $net))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp
    (alias outer 1 $net (type $n))
    (alias outer 1 $code (type $c))
    (alias outer 1 $address (type $a))
    (export "network" (type $net (eq $n)))
    (export "error-code" (type $code (eq $c)))
    (export "ip-socket-address" (type $address (eq $a)))
    (export "tcp-socket" (type $socket (sub resource)))
    (export "[method]tcp-socket.start-connect" (func (param "self" (borrow $socket))
      (param "network" (borrow $net)) (param "remote-address" $address) (result (result (error $code)))))))
  (alias export $tcp "tcp-socket" (type $socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (alias outer 1 $code (type $c))
    (alias outer 1 $family (type $f))
    (alias outer 1 $socket (type $s))
    (export "error-code" (type $code (eq $c)))
    (export "ip-address-family" (type $family (eq $f)))
    (export "tcp-socket" (type $socket (eq $s)))
    (export "create-tcp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
    (alias outer 1 $net (type $n))
    (alias outer 1 $code (type $c))
    (export "network" (type $net (eq $n)))
    (export "error-code" (type $code (eq $c)))
    (export "resolve-address-stream" (type $stream (sub resource)))
    (export "resolve-addresses" (func (param "network" (borrow $net)) (param "name" string)
      (result (result (own $stream) (error $code)))))))
  (core module $memory (memory (export "memory") 1) (data (i32.const 64) "localhost"))
  (core instance $m (instantiate $memory))
  (core func $network (canon lower (func $default "instance-network")))
  (core func $create (canon lower (func $create "create-tcp-socket") (memory $m "memory")))
  (core func $connect (canon lower (func $tcp "[method]tcp-socket.start-connect") (memory $m "memory")))
  (core func $resolve (canon lower (func $lookup "resolve-addresses") (memory $m "memory")))
  (core module $code
    (import "m" "memory" (memory 1))
    (import "i" "network" (func $network (result i32)))
    (import "i" "create" (func $create (param i32 i32)))
    (import "i" "connect"
      (func $connect (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "i" "resolve" (func $resolve (param i32 i32 i32 i32)))
    (func $outcome (param $at i32) (result i32)
      (if (result i32) (i32.load8_u (local.get $at))
        (then (i32.load8_u (i32.add (local.get $at) (i32.const 1)))) (else (i32.const -1))))
    (func (export "connect") (result i32)
      (call $create (i32.const 0) (i32.const 0))
      (call $connect (i32.load (i32.const 4)) (call $network) (i32.const 0)
        (i32.const 1) (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16))
      (call $outcome (i32.const 16)))
    (func (export "lookup") (result i32)
      (call $resolve (call $network) (i32.const 64) (i32.const 9) (i32.const 32))
      (if (result i32) (i32.load8_u (i32.const 32))
        (then (i32.load8_u (i32.const 36))) (else (i32.const -1)))))
  (core instance $c (instantiate $code
    (with "m" (instance $m))
    (with "i" (instance (export "network" (func $network)) (export "create" (func $create))
      (export "connect" (func $connect)) (export "resolve" (func $resolve))))))
  (func (export "connect") (result s32) (canon lift (core func $c "connect")))
  (func (export "lookup") (result s32) (canon lift (core func $c "lookup"))))
