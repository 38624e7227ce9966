# What is added to Redis' own test suite so that it can judge a proxy. Sourced when all of the
# suite's procedures are known and before its first test; it takes three environment variables:
#
# SUITE_NODE   HOST:PORT of the primary. Some tests compare what the server replicates. They ask for
#              that by SYNC, which is a conversation between servers; here they ask the primary itself.
# SUITE_RESP   2, or 3: every connection of the suite starts with HELLO 3.
#
# And it gives a command that blocks or unsubscribes, and whose reply is not awaited, some time to arrive.

# The tests send their commands through `redis`; only this connection goes to the node.
rename attach_to_replication_stream suite_attach_to_replication_stream
proc attach_to_replication_stream {} {
    lassign [split $::env(SUITE_NODE) :] host port
    set server [lindex $::servers end]
    set direct [dict merge $server [dict create host $host port $port]]
    lset ::servers end $direct
    set failed [catch {suite_attach_to_replication_stream} result options]
    lset ::servers end $server
    return -options $options $result
}

# Many tests let one client block, or end its subscriptions, and go on over another connection without waiting until the
# server has heard of the first. A server reads all connections in one thread, mostly in the order in which they were
# written to; a proxy hands them on in several.
rename ::redis::__dispatch__raw__ ::redis::suite_hurried_dispatch
proc ::redis::__dispatch__raw__ {id method argv} {
    set reply [::redis::suite_hurried_dispatch $id $method $argv]
    set name [string tolower $method]
    set hurries [expr {
        $name in {blpop brpop blmove brpoplpush blmpop bzpopmin bzpopmax bzmpop} ||
        ($name in {xread xreadgroup} && "block" in [string tolower $argv]) ||
        $name in {unsubscribe punsubscribe sunsubscribe}
    }]
    if {$hurries && $::redis::deferred($id)} {
        after 20
    }
    return $reply
}

if {$::env(SUITE_RESP) == 3} {
    rename redis suite_redis
    proc redis {args} {
        set client [suite_redis {*}$args]
        set id $::redis::id
        set fd $::redis::fd($id)
        set raw $::redis::readraw($id)
        set ::redis::readraw($id) 0
        ::redis::redis_write $fd "*2\r\n\$5\r\nHELLO\r\n\$1\r\n3\r\n"
        flush $fd
        # Where a password is needed first, the connection stays with RESP2.
        catch {::redis::redis_read_reply $id $fd}
        set ::redis::readraw($id) $raw
        return $client
    }

    # The suite compares with the text that RESP2 has for a number.
    rename ::redis::redis_read_reply ::redis::suite_read_reply
    proc ::redis::redis_read_reply {id fd} {
        set reply [::redis::suite_read_reply $id $fd]
        if {[string is double -strict $reply] && [string match *.0 $reply]} {
            return [string range $reply 0 end-2]
        }
        return $reply
    }

    # RESP3 has an array for each pair where RESP2 has one array of all.
    rename ::redis::__dispatch__raw__ ::redis::suite_dispatch
    proc ::redis::__dispatch__raw__ {id method argv} {
        set reply [::redis::suite_dispatch $id $method $argv]
        set words [string tolower $argv]
        set pairs [expr {
            [lsearch $words withscores] > 0 || [lsearch $words withvalues] > 0 ||
            ([string tolower $method] in {zpopmin zpopmax} && [llength $argv] == 2)
        }]
        if {$pairs && [info exists ::redis::deferred($id)] && !$::redis::deferred($id)} {
            return [concat {*}$reply]
        }
        return $reply
    }
}
