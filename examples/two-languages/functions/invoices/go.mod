module example.com/shop/invoices

go 1.21
