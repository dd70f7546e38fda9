# churn.pl COUNT: hashes of strings and of small arrays that grow, are split and deleted.
use strict;
use warnings;

my ($count) = @ARGV;
my (%words, %lists, $total);
for my $i (1 .. $count) {
    my $key = "word" . ($i * 7919 % 100003);
    $words{$key} .= "$i,";
    push @{ $lists{ $i * 31 % 5003 } }, { id => $i, name => "item $i" };
    if ($i % 3 == 0) {
        my $gone = "word" . (($i * 104729) % 100003);
        my $text = delete $words{$gone};
        $total += scalar split /,/, $text if defined $text;
    }
    if ($i % 1000 == 0) {
        my $list = delete $lists{ $i / 1000 * 17 % 5003 };
        $total += length $_->{name} for @{ $list || [] };
    }
}
$total += length for values %words;
print "$total ", scalar(keys %words), " ", scalar(keys %lists), "\n";
