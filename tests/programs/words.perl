# Hashes, sorting, regular expressions and packing, and a child that sends its lines through a pipe.
use strict;
use warnings;

my $state = 20_240_601;
sub draw { $state = ($state * 1103515245 + 12345) % 2147483648; return $state >> 8 }

my $pid = open(my $child, '-|') // die "fork: $!";
if ($pid == 0) {
    $| = 1;
    my @sieve = (1) x 1_500_001;
    for my $n (2 .. 1_500_000) {
        next unless $sieve[$n];
        print "$n\n" if $n % 1009 == 1;
        for (my $k = $n * $n; $k <= 1_500_000; $k += $n) { $sieve[$k] = 0 }
    }
    exit 7;
}

my (%count, $text);
for my $line (1 .. 120_000) {
    $text = join ' ', map { join '', map { chr(97 + draw() % 12) } 1 .. 1 + draw() % 3 } 1 .. 12;
    $count{$1}++ while $text =~ /\b([a-f]\w*)\b/g;
    $text =~ s/(\w)(\w)/$2$1/g;
    $count{length($text) . substr($text, 0, 2)} += unpack('%32C*', $text);
    print "$line ", scalar(keys %count), "\n" if $line % 20_000 == 0;
}
my @names = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
printf "%s %d\n", $_, $count{$_} for @names[0 .. 200];
my ($lines, $sum) = (0, 0);
while (my $prime = <$child>) { $lines++; $sum += $prime }
close $child;
printf "%d primes, sum %d, child ended with %d\n", $lines, $sum, $? >> 8;
exit 3;
